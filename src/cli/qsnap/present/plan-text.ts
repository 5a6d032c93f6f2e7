import {
  printableText,
  shadowWriteBytes,
  shadowWriteRanges,
  type EditPlan,
  type ExecuteReport,
  type Image,
} from '../../../index.js';
import { tableLines, type Column } from '../../columns.js';
import { countText, hexText, oneSafeLine, sizeText } from '../../text.js';

const COLUMNS: readonly Column[] = [
  { title: '', align: 'left' },
  { title: 'OFFSET', align: 'right' },
  { title: 'BYTES', align: 'right' },
  { title: 'WHAT', align: 'left' },
];

/** The plan of an edit: every write in its order, and what it leaves free. */
export function dryRunLines(path: string, plan: EditPlan, image: Image): string[] {
  const shadow = plan.shadow.flatMap((write) =>
    shadowWriteRanges(write).map((range) => row(range.at, range.length, `new ${write.what}`)),
  );
  const shadowBytes = plan.shadow.reduce((sum, write) => sum + shadowWriteBytes(write), 0);
  const header = row(plan.switch.at, plan.switch.bytes.length, 'header');
  const punch = plan.punch.map((range) => row(range.at, range.length, 'free'));
  const rows = [...shadow, header, ...punch];
  const [titles, ...lines] = tableLines(COLUMNS, rows);
  const afterShadow = shadow.length + 1;
  return [
    `Dry run: ${printableText(path)} is opened for reading, and nothing is written.`,
    `Would ${oneSafeLine(plan.summary)}.`,
    titles!,
    `1 write ${sizeText(shadowBytes)} where the image is free; flush`,
    ...lines.slice(0, shadow.length),
    '2 switch to the new state with one write; flush',
    ...lines.slice(shadow.length, afterShadow),
    ...(punch.length === 0 ? [] : ['3 give back to the host', ...lines.slice(afterShadow)]),
    growthLine(plan),
    netLine(plan, image),
    ...keptRoomLines(plan),
  ];
}

function row(at: number, length: number, what: string): string[] {
  return [' ', hexText(at), String(length), what];
}

function growthLine({ facts }: EditPlan): string {
  return facts.growthBytes === 0
    ? 'The file keeps its length.'
    : `The file grows by ${sizeText(facts.growthBytes)}.`;
}

function netLine(plan: EditPlan, image: Image): string {
  const net = netFreedBytes(plan);
  return net < 0 ? `The image uses ${sizeText(-net)} more.` : `Frees ${freedText(plan, image)}.`;
}

/** Bytes that the image uses less after the edit; negative when it uses more. */
export function netFreedBytes({ facts }: EditPlan): number {
  return facts.freedBytes - facts.shadowBytes;
}

/**
 * What an edit leaves free, less what its new tables take: `1.25 MiB (18 data clusters, 2 clusters
 * of tables)`.
 */
export function freedText(plan: EditPlan, image: Image): string {
  const { clusterBytes } = image.geometry;
  const net = netFreedBytes(plan);
  const data = plan.facts.freedDataBytes / clusterBytes;
  const tables = net / clusterBytes - data;
  const parts = [
    ...(data === 0 ? [] : [countText(data, 'data cluster')]),
    ...(tables <= 0 ? [] : [countText(tables, 'cluster of tables', 'clusters of tables')]),
  ];
  return net <= 0 ? 'nothing' : `${sizeText(net)} (${parts.join(', ')})`;
}

/** Whether the host has the freed room back; empty when nothing was freed. */
export function givenBackLines(plan: EditPlan, report: ExecuteReport): string[] {
  if (netFreedBytes(plan) <= 0 || plan.punch.length === 0) return keptRoomLines(plan);
  if (report.punchedBytes === 0) {
    return ['The host could take nothing back: the room stays in the file for later use.'];
  }
  return [`Gave ${sizeText(report.punchedBytes)} back to the host, replaced tables included.`];
}

/** Where room that only tables had goes, if there is any. */
function keptRoomLines(plan: EditPlan): string[] {
  if (netFreedBytes(plan) <= 0 || plan.punch.length > 0) return [];
  return ['Only tables had that room: it stays in the file, and the next edit writes there.'];
}
