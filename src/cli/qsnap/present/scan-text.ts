import type { Candidate, Reason, ReasonCode, ScanReport } from '../../../index.js';
import { printable, printableText } from '../../../internal.js';
import { tableLines, type Column } from '../../columns.js';
import { countText, hexText, localTimeText, sizeText } from '../../text.js';
import { isCutOff, type Scanned } from './scanned.js';

const COLUMNS: readonly Column[] = [
  { title: 'N', align: 'right' },
  { title: 'KIND', align: 'left' },
  { title: 'OFFSET', align: 'right' },
  { title: 'WHERE', align: 'left' },
  { title: 'PLAUSIBLE', align: 'right' },
  { title: 'WHAT', align: 'left' },
];

/** What each reason says, with its numbers. */
const REASON_TEXT: Readonly<Record<ReasonCode, (found: number, all: number) => string>> = {
  'entry-parses': (found) => `${countText(found, 'entry', 'entries')} of a snapshot table`,
  'entry-repeated': (found) => `found ${found} times`,
  'entry-listed': (found, all) => `${found} of ${all} still listed`,
  'l1-reused': () => 'its L1 table was overwritten',
  'l1-empty': () => 'nothing is left of its L1 table',
  'l1-leads-to-tables': (found, all) => `${found} of ${countText(all, 'L2 table')} left`,
  'tables-reused': (found, all) => `${found} of ${countText(all, 'L2 table')} overwritten`,
  'data-kept': (found, all) => `${found} of ${countText(all, 'cluster')} kept`,
  'data-shared': (found, all) => `${found} of ${all} in use at the same place`,
  'data-doubtful': (found, all) => `${found} of ${all} of which the last owner is not known`,
  'data-reused': (found, all) => `${found} of ${all} overwritten`,
  'data-empty': (found, all) => `${found} of ${all} read as zeros`,
  'entries-wrong': (found, all) => `${found} of ${all} can't be right`,
  'few-entries': (found) => `only ${countText(found, 'entry', 'entries')}`,
  'in-order': (found, all) => `${found} of ${all} in order`,
  'maps-vm-state': () => 'maps a VM state',
  'agrees-with-refcounts': (found, all) => `${found} of ${all} refcounts as they are now`,
  'leads-to-refcounts': (found, all) =>
    `${found} of ${countText(all, 'entry', 'entries')} lead to refcount blocks`,
  'stream-head': () => 'begins as a VM state does',
  description: () => 'the description that a VM state ends with',
  'header-fields': (found, all) => `${found} of ${all} fields can be right`,
  'not-all-looked-at': () => 'too many tables to look at all',
};

/** What was found, the best first, with the reasons below each. */
export function scanLines({ path, report, candidates, min, carved }: Scanned): readonly string[] {
  const { unreferencedBytes, holeBytes, dataBytes, candidates: all } = report;
  const zeros = unreferencedBytes - holeBytes - dataBytes;
  const found =
    candidates.length === 0 ? 'nothing was found' : countText(candidates.length, 'candidate');
  const less = all.length - candidates.length;
  return [
    `${printableText(path)}: ${found} in ${sizeText(unreferencedBytes)} that nothing refers to`,
    ...(report.hasHeader ? [] : ['  no header can be read: nothing counts as in use']),
    ...(unreferencedBytes === 0
      ? []
      : [
          `  ${sizeText(dataBytes)} hold data, ${sizeText(Math.max(0, zeros))} are zeros, ${sizeText(holeBytes)} are holes`,
        ]),
    ...(isCutOff(report) ? [cutOffLine(report)] : nothingLine(unreferencedBytes, dataBytes)),
    ...tableOf(candidates),
    ...(less > 0
      ? [`${countText(less, 'candidate')} below a plausibility of ${min}: --min 0 prints them`]
      : []),
    ...(carved === undefined ? [] : [`Wrote ${countText(carved.size, 'file')}.`]),
    ...(report.hasHeader
      ? advice(path, candidates)
      : [`\`qsnap rescue ${printableText(path)} -o NEW\` makes a new image of what is left.`]),
  ];
}

function cutOffLine({ pastEndBytes }: ScanReport): string {
  if (pastEndBytes === 0) {
    return '  the file ends before the tables that its header names: what lay behind is not here';
  }
  return `  the file was cut off: ${sizeText(pastEndBytes)} are counted as in use past its end, and are not here`;
}

/** Why nothing can be had. */
function nothingLine(unreferencedBytes: number, dataBytes: number): readonly string[] {
  if (dataBytes > 0) return [];
  return unreferencedBytes === 0
    ? ['  every cluster is in use: nothing is left of what was deleted, if anything was']
    : ['  nothing can be had: what was freed was given back to the host, or was never written'];
}

function tableOf(candidates: readonly Candidate[]): readonly string[] {
  if (candidates.length === 0) return [];
  const [title, ...rows] = tableLines(COLUMNS, candidates.map(rowOf));
  return [title!, ...rows.flatMap((row, i) => [row, `   ${reasonsText(candidates[i]!.reasons)}`])];
}

function rowOf(candidate: Candidate): readonly string[] {
  const { number, kind, at, where, plausibility } = candidate;
  return [String(number), kind, hexText(at), where, String(plausibility), whatOf(candidate)];
}

function whatOf({ snapshot, l1, machine, header }: Candidate): string {
  if (snapshot !== undefined) {
    const { idBytes, nameBytes, date, diskSizeBytes } = snapshot;
    const named = `${printable(idBytes)} "${printable(nameBytes)}"`;
    return `${named} of ${localTimeText(date.seconds)}, ${sizeText(diskSizeBytes)}`;
  }
  if (l1 !== undefined) return countText(l1.entries, 'entry', 'entries');
  if (machine !== undefined) return printableText(machine);
  if (header === undefined) return '';
  return `version ${header.version}, a disk of ${sizeText(header.diskSizeBytes)}`;
}

function reasonsText(reasons: readonly Reason[]): string {
  return reasons.map(({ code, found, all }) => REASON_TEXT[code](found, all)).join('; ');
}

function advice(path: string, candidates: readonly Candidate[]): readonly string[] {
  const disk = candidates.find(({ kind }) => kind === 'snapshot' || kind === 'l1-table');
  if (disk === undefined) return [];
  return [
    `\`qsnap recover ${printableText(path)} --candidate ${disk.number} -o FILE\` writes the disk of the first.`,
  ];
}
