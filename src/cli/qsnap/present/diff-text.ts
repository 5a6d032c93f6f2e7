import { type DiffRange } from '../../../index.js';
import { describeSnapshot, printableText } from '../../../internal.js';
import { countText, exactSizeText, hexText, sizeText } from '../../text.js';
import type { DiffFacts, DiffSide, PatchFacts } from './diff-totals.js';

/** Widths of the columns; a number that needs more pushes only its own row. */
const WIDTH = 16;

/** The titles of the table. */
export function diffTitle(): string {
  return row(['START', 'LENGTH', 'KIND']);
}

/** Lines of the table. */
export function diffLines(ranges: readonly DiffRange[]): readonly string[] {
  return ranges.map(({ start, length, kind }) => row([hexText(start), hexText(length), kind]));
}

function row([start, length, kind]: readonly [string, string, string]): string {
  return start.padEnd(WIDTH) + length.padEnd(WIDTH) + kind;
}

/** What is said at the end. */
export function diffSummary(facts: DiffFacts): readonly string[] {
  const { path, disks, totals, patch } = facts;
  const [a, b] = disks.map(nameOf);
  const { data, zeroed, unmapped } = totals.bytes;
  const [pair, same] = [`${a!} and ${b!} of ${printableText(path)}`, totals.bytes['same-content']];
  const kinds = `data ${sizeText(data)}, zeroed ${sizeText(zeroed)}, unmapped ${sizeText(unmapped)}`;
  const differences =
    `${countText(totals.rangeCount, 'range')} of ` +
    `${exactSizeText(totals.differentBytes)} in all: ${kinds}.`;
  return [
    totals.rangeCount === 0
      ? `${pair} have no ranges that differ.`
      : `${pair} differ in ${differences}`,
    ...sizeLines(facts),
    ...(same === 0 ? [] : [`${exactSizeText(same)} have the same content in other clusters.`]),
    ...(patch === undefined ? [] : [patchLine(patch)]),
  ];
}

function nameOf({ snapshot }: DiffSide): string {
  return snapshot === undefined ? 'the active disk' : `snapshot ${describeSnapshot(snapshot)}`;
}

function sizeLines({ disks }: DiffFacts): readonly string[] {
  const [a, b] = disks;
  if (a.sizeBytes === b.sizeBytes) return [];
  const [longer, shorter] = a.sizeBytes > b.sizeBytes ? [a, b] : [b, a];
  const bytes = exactSizeText(longer.sizeBytes - shorter.sizeBytes);
  return [
    `${nameOf(longer)} is ${bytes} longer than ${nameOf(shorter)}, which counts as zeros there.`,
  ];
}

function patchLine(patch: PatchFacts): string {
  const { file, map, backingFile, dataBytes, zeroBytes } = patch;
  const bytes = `${sizeText(dataBytes)} of data and ${sizeText(zeroBytes)} of zeros`;
  const beside =
    map === undefined
      ? `over ${printableText(backingFile!)}`
      : `with the map ${printableText(map)}`;
  return `Wrote ${bytes} to ${printableText(file)}, ${beside}.`;
}
