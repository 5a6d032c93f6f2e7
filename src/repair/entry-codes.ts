import type { FindingCode } from '../check/catalog.js';
import {
  COMPRESSED,
  COPIED,
  hasZeroFlag,
  judgeL1Entry,
  judgeL2Entry,
  offsetOf,
  ZERO_FLAG,
  type EntryProblem,
  type TableFormat,
} from '../l1l2/entry.js';
import type { EntryWords } from './mend-entry.js';

/** The findings that a check has for a flawed entry: by any of them the entry can be chosen. */
const L1_CODES: Readonly<Record<EntryProblem, readonly FindingCode[]>> = {
  'reserved-bits': ['L1_ENTRY_RESERVED_BITS'],
  misaligned: ['L1_ENTRY_MISALIGNED'],
  'past-the-end': ['L1_ENTRY_PAST_END'],
  'copied-without-offset': ['COPIED_WITHOUT_CLUSTER'],
  'copied-compressed': [],
};
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
  format: TableFormat,
): readonly FindingCode[] {
  const problem = judgeL1Entry(high, low, format);
  return problem === undefined ? [] : L1_CODES[problem];
}

export function codesOfL2Entry(words: EntryWords, format: TableFormat): readonly FindingCode[] {
  const [high, low] = words as [number, number];
  const problem = judgeL2Entry(high, low, format);
  const codes = problem === undefined ? [] : L2_CODES[problem];
  // One flaw may hide another: an entry can be misaligned and have reserved bits set.
  const standard = (high & COMPRESSED) === 0;
  const masked = standard ? judgeL2Entry(high & 0x80ff_ffff, low & ~0x1fe, format) : undefined;
  const hidden = masked === undefined || masked === problem ? [] : L2_CODES[masked];
  const bits = standard ? codesOfBits(high, low, format) : [];
  return [...codes, ...hidden, ...bits, ...codesOfSubclusters(words)];
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
