import {
  type EditFacts,
  type EditPlan,
  type ExecuteReport,
  type Image,
  type ShadowWrite,
  type StagedEdit,
} from '../../../index.js';
import { printableText, shadowBytesOf, shadowWriteRanges } from '../../../internal.js';
import { tableLines, type Column } from '../../columns.js';
import { isStaged, type AnyEdit } from './any-edit.js';
import { countText, hexText, oneSafeLine, sizeText } from '../../text.js';

const COLUMNS: readonly Column[] = [
  { title: '', align: 'left' },
  { title: 'OFFSET', align: 'right' },
  { title: 'BYTES', align: 'right' },
  { title: 'WHAT', align: 'left' },
];

/** The plan of an edit: every write in its order, and what it leaves free. */
export function dryRunLines(path: string, plan: AnyEdit, image: Image): string[] {
  return [
    `Dry run: ${printableText(path)} is opened for reading, and nothing is written.`,
    `Would ${oneSafeLine(plan.summary)}.`,
    ...stageLines(isStaged(plan) ? stagesOf(plan) : shadowAndSwitch(plan)),
    growthLine(plan),
    netLine(plan, image),
    ...wouldMendLines(plan),
    ...(isStaged(plan) ? [cutLine(plan)] : keptRoomLines(plan)),
  ];
}

const WOULD_MEND: Readonly<Record<NonNullable<EditFacts['mends']>[number], string>> = {
  'copied-flags': 'COPIED flags of the active disk are wrong; they would be right then.',
  'snapshot-entries': 'Snapshot entries lack extra data; they would be complete then.',
};

function wouldMendLines({ facts: { mends = [] } }: AnyEdit): string[] {
  return mends.map((each) => WOULD_MEND[each]);
}

/** What a cut between the stages leaves. */
function cutLine({ mayLackFlags }: StagedEdit): string {
  const left = mayLackFlags
    ? 'refcounts that are too high or flags that are missing'
    : 'refcounts that are too high';
  return `A cut on the way may leave ${left}, which \`qsnap repair IMAGE all perhaps-lost\` mends, and nothing worse.`;
}

/** A stage as it is printed: its heading, and its rows. */
interface ShownStage {
  readonly heading: string;
  readonly rows: readonly string[][];
}

function shadowAndSwitch(plan: EditPlan): readonly ShownStage[] {
  const shadowBytes = shadowBytesOf(plan.shadow);
  const shadow = {
    heading: `write ${sizeText(shadowBytes)} where the image is free; flush`,
    rows: writeRows(plan.shadow, 'new '),
  };
  return [
    ...(shadowBytes === 0 ? [] : [shadow]),
    {
      heading: 'switch to the new state with one write; flush',
      rows: [row(plan.switch.at, plan.switch.bytes.length, 'header')],
    },
    ...punchStage(plan),
  ];
}

function stagesOf(plan: StagedEdit): readonly ShownStage[] {
  const stages = plan.stages.map(({ what, writes }) => ({
    heading: `${what}; flush`,
    rows: writeRows(writes, ''),
  }));
  return [...stages, ...punchStage(plan)];
}

function punchStage({ punch }: AnyEdit): readonly ShownStage[] {
  const rows = punch.map(({ at, length }) => row(at, length, 'free'));
  return rows.length === 0 ? [] : [{ heading: 'give back to the host', rows }];
}

function writeRows(writes: readonly ShadowWrite[], prefix: string): string[][] {
  return writes.flatMap((write) =>
    shadowWriteRanges(write).map(({ at, length }) => row(at, length, `${prefix}${write.what}`)),
  );
}

/** One table over all stages, with a heading before the rows of each. */
function stageLines(stages: readonly ShownStage[]): string[] {
  const rows = stages.flatMap((stage) => stage.rows);
  const [titles, ...lines] = tableLines(COLUMNS, rows);
  let next = 0;
  const shown = stages.flatMap(({ heading, rows: own }, index) => {
    const first = next;
    next += own.length;
    return [`${index + 1} ${heading}`, ...lines.slice(first, next)];
  });
  return [titles!, ...shown];
}

function row(at: number, length: number, what: string): string[] {
  return [' ', hexText(at), String(length), what];
}

function growthLine({ facts }: AnyEdit): string {
  return facts.growthBytes === 0
    ? 'The file keeps its length.'
    : `The file grows by ${sizeText(facts.growthBytes)}.`;
}

function netLine(plan: AnyEdit, image: Image): string {
  const net = netFreedBytes(plan);
  return net < 0 ? `The image uses ${sizeText(-net)} more.` : `Frees ${freedText(plan, image)}.`;
}

/** Bytes that the image uses less after the edit; negative when it uses more. */
export function netFreedBytes({ facts }: AnyEdit): number {
  return facts.freedBytes - facts.shadowBytes;
}

/**
 * What an edit leaves free, less what its new tables take: `1.25 MiB (18 data clusters, 2 clusters
 * of tables)`.
 */
export function freedText(plan: AnyEdit, image: Image): string {
  const { clusterBytes } = image.geometry;
  const net = netFreedBytes(plan);
  if (plan.operation === 'repair' && net > 0) {
    const clusters = countText(net / clusterBytes, 'cluster');
    return `${sizeText(net)} (${clusters} that nothing refers to, whatever was in them)`;
  }
  const data = plan.facts.freedDataBytes / clusterBytes;
  const tables = net / clusterBytes - data;
  const parts = [
    ...(data === 0 ? [] : [countText(data, 'data cluster')]),
    ...(tables <= 0 ? [] : [countText(tables, 'cluster of tables', 'clusters of tables')]),
  ];
  return net <= 0 ? 'nothing' : `${sizeText(net)} (${parts.join(', ')})`;
}

/** Whether the host has the freed room back; empty when nothing was freed. */
export function givenBackLines(plan: AnyEdit, report: ExecuteReport): string[] {
  if (netFreedBytes(plan) <= 0 || plan.punch.length === 0) return keptRoomLines(plan);
  if (report.punchedBytes === 0) {
    return ['The host could take nothing back: the room stays in the file for later use.'];
  }
  return [`Gave ${sizeText(report.punchedBytes)} back to the host, replaced tables included.`];
}

/** Where room goes that the host does not get back, if there is any. */
function keptRoomLines(plan: AnyEdit): string[] {
  if (netFreedBytes(plan) <= 0 || plan.punch.length > 0) return [];
  if (plan.operation === 'repair')
    return ['That room stays in the file; --punch gives it back to the host.'];
  return ['Only tables had that room: it stays in the file, and the next edit writes there.'];
}
