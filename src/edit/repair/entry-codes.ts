import type { FindingCode } from '../../read/check/catalog.js';
import {
  COMPRESSED,
  COPIED,
  hasZeroFlag,
  judgeL2Entry,
  offsetOf,
  ZERO_FLAG,
  type EntryProblem,
  type TableFormat,
} from '../../l1l2/entry.js';
import type { EntryWords } from './mend-entry.js';

/** The findings that a check has for a flawed entry: by any of them the entry can be chosen. */
const L2_CODES: Readonly<Record<EntryProblem, readonly FindingCode[]>> = {
  'reserved-bits': [],
  misaligned: ['L2_ENTRY_MISALIGNED'],
  'past-the-end': ['L2_ENTRY_PAST_END'],
  'copied-without-offset': ['COPIED_WITHOUT_CLUSTER'],
  'copied-compressed': ['L2_COMPRESSED_COPIED'],
};

export function codesOfL1Entry(
  high: number,
  low: number,
  { geometry, fileClusters }: TableFormat,
): readonly FindingCode[] {
  if ((high | low) === 0) return [];
  const codes: FindingCode[] = [];
  if ((high & 0x7f00_0000) !== 0 || (low & 0x1ff) !== 0) codes.push('L1_ENTRY_RESERVED_BITS');
  const cluster = offsetOf(high, low) / geometry.clusterBytes;
  // A check takes any bits without an offset for a table at the header's place.
  if (cluster === 0) codes.push('COPIED_WITHOUT_CLUSTER');
  if (!Number.isInteger(cluster)) codes.push('L1_ENTRY_MISALIGNED');
  if (cluster >= fileClusters) codes.push('L1_ENTRY_PAST_END');
  return codes;
}

export function codesOfL2Entry(words: EntryWords, format: TableFormat): readonly FindingCode[] {
  const [high, low] = words as [number, number];
  const problem = judgeL2Entry(high, low, format);
  const codes = problem === undefined ? [] : l2CodesOf(problem, high);
  // One flaw may hide another: an entry can be misaligned and have reserved bits set.
  const standard = (high & COMPRESSED) === 0;
  const masked = standard
    ? judgeL2Entry(high & 0x80ff_ffff, low & ~0x1ff, format)
    : judgeL2Entry(high & ~COPIED, low, format);
  const hidden = masked === undefined || masked === problem ? [] : l2CodesOf(masked, high);
  const bits = standard ? codesOfBits(high, low, format) : [];
  const behind: FindingCode[] =
    standard && isBehindEnd(high, low, format) ? ['L2_ENTRY_PAST_END'] : [];
  return [...codes, ...hidden, ...behind, ...bits, ...codesOfSubclusters(words)];
}

/** A packed cluster has no reserved bits: those of its offset place it behind the end of any file. */
function l2CodesOf(problem: EntryProblem, high: number): readonly FindingCode[] {
  const isPacked = (high & COMPRESSED) !== 0;
  return L2_CODES[isPacked && problem === 'reserved-bits' ? 'past-the-end' : problem];
}

/** Whether an entry leads behind the end of the file, where it leads to no cluster's start either. */
function isBehindEnd(high: number, low: number, { geometry, fileClusters }: TableFormat): boolean {
  const at = offsetOf(high, low);
  const cluster = at / geometry.clusterBytes;
  return !Number.isInteger(cluster) && cluster >= fileClusters;
}

/** Bits of a standard entry that mean nothing: bit 0 is told apart, since some programs heed it. */
function codesOfBits(high: number, low: number, format: TableFormat): readonly FindingCode[] {
  const codes: FindingCode[] = [];
  if ((high & 0x3f00_0000) !== 0 || (low & 0x1fe) !== 0) codes.push('L2_ENTRY_RESERVED_BITS');
  if ((low & ZERO_FLAG) !== 0 && !hasZeroFlag(format)) codes.push('ZERO_FLAG_MEANINGLESS');
  return codes;
}

function codesOfSubclusters(words: EntryWords): readonly FindingCode[] {
  const [high, low, zeroBits, allocatedBits] = words as [number, number, number?, number?];
  if (zeroBits === undefined || allocatedBits === undefined) return [];
  if ((high & COMPRESSED) !== 0) {
    return (zeroBits | allocatedBits) === 0 ? [] : ['L2_COMPRESSED_WITH_SUBCLUSTERS'];
  }
  const codes: FindingCode[] = [];
  if ((zeroBits & allocatedBits) !== 0) codes.push('L2_SUBCLUSTERS_CONTRADICT');
  if (offsetOf(high & ~COPIED, low) === 0 && allocatedBits !== 0) {
    codes.push('L2_SUBCLUSTERS_WITHOUT_CLUSTER');
  }
  return codes;
}
