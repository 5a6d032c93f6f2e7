import {
  COMPRESSED,
  compressedExtent,
  compressedOffsetHighBits,
  COPIED,
  hasZeroFlag,
  judgeL1Entry,
  judgeL2Entry,
  OFFSET_HIGH,
  OFFSET_LOW,
  offsetOf,
  ZERO_FLAG,
  type TableFormat,
} from '../../l1l2/entry.js';

/**
 * What is wrong with an entry, as far as it matters for mending it.
 *
 * - `bits`: bits that mean nothing there are set, or a length reaches past the end; what a guest
 *   reads does not depend on them, and clearing them loses nothing;
 * - `unreadable`: it says that there is data and points where none can be; a guest gets an error or
 *   zeros. Mended, it reads as zeros.
 */
export type Flaw = 'bits' | 'unreadable';

/** How an entry reads as zeros where the table lies. */
export type Zeroing =
  /** By the zero flag. */
  | 'flag'
  /** By being unallocated: nothing lies below. */
  | 'unallocated'
  /** Not at all: a backing file would show through. */
  | 'impossible';

/** How this image's entries can be made to read as zeros. Version 2 has no zero flag. */
export function zeroingOf(format: TableFormat, hasBacking: boolean): Zeroing {
  if (format.version === 3) return 'flag';
  return hasBacking ? 'impossible' : 'unallocated';
}

/** The flaw of an L1 entry, or undefined. */
export function flawOfL1Entry(high: number, low: number, format: TableFormat): Flaw | undefined {
  if ((high | low) === 0 || judgeL1Entry(high, low, format) === undefined) return undefined;
  const [cleanHigh, cleanLow] = cleanL1Entry(high, low);
  return judgeL1Entry(cleanHigh, cleanLow, format) === undefined ? 'bits' : 'unreadable';
}

/** The L1 entry without its flaw: without stray bits, or 0 where it is unreadable. */
export function mendedL1Entry(high: number, low: number, flaw: Flaw): readonly [number, number] {
  return flaw === 'unreadable' ? [0, 0] : cleanL1Entry(high, low);
}

function cleanL1Entry(high: number, low: number): readonly [number, number] {
  const offset = offsetOf(high, low);
  const copied = offset === 0 ? 0 : high & COPIED;
  return [((high & OFFSET_HIGH) | copied) >>> 0, (low & OFFSET_LOW) >>> 0];
}

/** What of an L2 entry is left as it is, although it means nothing. */
export interface Unmended {
  /** Bit 0, by which some programs read zeros where the format has no zero flag. */
  readonly zeroBit: boolean;
  /** Reserved bits. */
  readonly reservedBits: boolean;
  /** Of a compressed entry: the COPIED flag, the subcluster bitmap, a length past the end of the file. */
  readonly copied: boolean;
  readonly bitmap: boolean;
  readonly length: boolean;
}

/** Puts back into an entry without stray bits those that are to stay. */
export function withUnmended(
  words: EntryWords,
  mended: EntryWords,
  { zeroBit, reservedBits, copied, bitmap, length }: Unmended,
): EntryWords {
  const [high, low] = words as [number, number];
  const [newHigh, newLow] = mended as [number, number];
  if ((high & COMPRESSED) !== 0) {
    const cut = length ? high & ~COPIED : newHigh;
    const flags = copied ? high & COPIED : 0;
    return [(cut | flags) >>> 0, newLow, ...(bitmap ? words : mended).slice(2)];
  }
  const stray = reservedBits ? { high: high & 0x3f00_0000, low: low & 0x1fe } : { high: 0, low: 0 };
  const zero = zeroBit ? low & ZERO_FLAG : 0;
  return [(newHigh | stray.high) >>> 0, (newLow | stray.low | zero) >>> 0, ...mended.slice(2)];
}

/** The words of one L2 entry: two, or four with extended L2 entries. */
export type EntryWords = readonly number[];

/** The flaw of an L2 entry, or undefined. */
export function flawOfL2Entry(words: EntryWords, format: TableFormat): Flaw | undefined {
  if (isSoundL2(words, format)) return undefined;
  return isSoundL2(cleanL2Entry(words, format), format) ? 'bits' : 'unreadable';
}

/**
 * The L2 entry without its flaw.
 *
 * @returns undefined where it can't be made to read as zeros.
 */
export function mendedL2Entry(
  words: EntryWords,
  flaw: Flaw,
  format: TableFormat,
  zeroing: Zeroing,
): EntryWords | undefined {
  if (flaw === 'bits') return cleanL2Entry(words, format);
  const subclusters = withoutContradiction(words, format);
  if (subclusters !== undefined) return subclusters;
  if (isPlainZero(words, format)) return zeroEntry(format, 'flag');
  return zeroing === 'impossible' ? undefined : zeroEntry(format, zeroing);
}

/**
 * An extended entry whose only flaw is its bitmap, mended. Subclusters that the bitmap calls both zero and
 * allocated, or allocated without a cluster, read as zeros; the others stay as they are.
 */
function withoutContradiction(words: EntryWords, format: TableFormat): EntryWords | undefined {
  const [high, low, zeroBits, allocatedBits] = cleanL2Entry(words, format) as number[];
  if (zeroBits === undefined || allocatedBits === undefined) return undefined;
  const mended =
    offsetOf(high!, low!) === 0
      ? [high!, low!, (zeroBits | allocatedBits) >>> 0, 0]
      : [high!, low!, zeroBits, (allocatedBits & ~zeroBits) >>> 0];
  return isSoundL2(mended, format) ? mended : undefined;
}

/** An entry that reads as zeros and whose cluster is nowhere: the flag alone loses nothing. */
function isPlainZero(words: EntryWords, format: TableFormat): boolean {
  const [high, low] = words as [number, number];
  return hasZeroFlag(format) && (high & COMPRESSED) === 0 && (low & ZERO_FLAG) !== 0;
}

/** Spec: Extended L2 Entries: the upper half of the bitmap says which subclusters read as zeros. */
function zeroEntry(format: TableFormat, zeroing: Zeroing): EntryWords {
  if (format.geometry.l2EntryBytes === 16) return [0, 0, zeroing === 'flag' ? 0xffff_ffff : 0, 0];
  return [0, zeroing === 'flag' ? ZERO_FLAG : 0];
}

function isSoundL2(words: EntryWords, format: TableFormat): boolean {
  const [high, low, zeroBits = 0, allocatedBits = 0] = words as [number, number, number?, number?];
  if (judgeL2Entry(high, low, format) !== undefined) return false;
  if (words.length === 2) return true;
  if ((high & COMPRESSED) !== 0) return (zeroBits | allocatedBits) === 0;
  if ((zeroBits & allocatedBits) !== 0) return false;
  return offsetOf(high, low) !== 0 || allocatedBits === 0;
}

function cleanL2Entry(words: EntryWords, format: TableFormat): EntryWords {
  const [high, low, zeroBits = 0, allocatedBits = 0] = words as [number, number, number?, number?];
  if ((high & COMPRESSED) !== 0) {
    const clean = cleanCompressed(high & ~COPIED, low, format);
    return words.length === 2 ? clean : [...clean, 0, 0];
  }
  const zeroFlag = hasZeroFlag(format) ? low & ZERO_FLAG : 0;
  const copied = offsetOf(high, low) === 0 ? 0 : high & COPIED;
  const clean = [((high & OFFSET_HIGH) | copied) >>> 0, ((low & OFFSET_LOW) | zeroFlag) >>> 0];
  return words.length === 2 ? clean : [...clean, zeroBits, allocatedBits];
}

/** A length that reaches past the end of the file is cut there: nothing can lie behind it. */
function cleanCompressed(high: number, low: number, format: TableFormat): EntryWords {
  const { clusterBits, clusterBytes } = format.geometry;
  const { at, sectorBytes } = compressedExtent(high, low, clusterBits);
  const fileEnd = format.fileClusters * clusterBytes;
  const firstSector = Math.floor(at / 512) * 512;
  if (firstSector + sectorBytes <= fileEnd || at >= fileEnd) return [high >>> 0, low];
  const sectors = (fileEnd - firstSector) / 512;
  const highBits = compressedOffsetHighBits(clusterBits);
  const offsetBits = high & (2 ** highBits - 1);
  return [(COMPRESSED | ((sectors - 1) << highBits) | offsetBits) >>> 0, low];
}
