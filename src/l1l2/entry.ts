import { HIGH_WORD } from '../base/words.js';
import type { Geometry } from '../qcow2/geometry.js';

/**
 * One L1 or L2 entry as a sum type: the readable definition. `scan.ts` has the same rules for whole
 * tables at speed, and a property test holds the two together.
 *
 * ```
 * bit        63      62          61-56     55 ... 32   31 ...  9   8-1       0
 * standard   COPIED  0           reserved  offset ............     reserved  zero flag
 * L1         COPIED  reserved ...........  offset ............     reserved ..........
 *            └──────────────── high word ──────────┘   └────────── low word ──────────┘
 *
 * bit        63  62             61 ...... x   x-1 ................................. 0
 * compressed 0   1 COMPRESSED   sectors - 1   offset of the first byte
 *                               x = 62 - (cluster bits - 8)
 *
 * extended   one of the two above, then two words of bitmap, a bit a subcluster:
 *            high word: reads as zeros; low word: allocated
 * ```
 */

/** Bit 63, in the high word. */
export const COPIED = 0x8000_0000;
/** Bit 62, in the high word. */
export const COMPRESSED = 0x4000_0000;
/** Bits 32-55 of an offset, in the high word. */
export const OFFSET_HIGH = 0x00ff_ffff;
/** Bits 9-31 of an offset, in the low word. */
export const OFFSET_LOW = 0xffff_fe00;
/** Bit 0: reads as zeros. Version 3 without extended L2 entries. */
export const ZERO_FLAG = 1;

export type L2Entry =
  | { readonly kind: 'unallocated' }
  | { readonly kind: 'zero-plain' }
  | { readonly kind: 'zero-alloc'; readonly at: number; readonly copied: boolean }
  | { readonly kind: 'normal'; readonly at: number; readonly copied: boolean }
  | { readonly kind: 'compressed'; readonly at: number; readonly sectorBytes: number };

/** The facts of an image that decide how its table entries read. */
export interface TableFormat {
  readonly geometry: Geometry;
  readonly version: 2 | 3;
  /** Clusters of the file: entries may point below this. */
  readonly fileClusters: number;
}

/** What can be wrong with an entry. */
export type EntryProblem =
  'reserved-bits' | 'misaligned' | 'past-the-end' | 'copied-without-offset' | 'copied-compressed';

export function offsetOf(high: number, low: number): number {
  return (high & OFFSET_HIGH) * HIGH_WORD + ((low & OFFSET_LOW) >>> 0);
}

/** High-word bits of a compressed descriptor's offset. Spec: Compressed Clusters Descriptor, x. */
export function compressedOffsetHighBits(clusterBits: number): number {
  return 62 - (clusterBits - 8) - 32;
}

/**
 * Where the packed data of a compressed cluster lies: `at` is its first byte. `sectorBytes` is the length of
 * the whole sectors that it may touch, from the start of the sector with the first byte.
 *
 * Spec: Compressed Clusters Descriptor.
 */
export function compressedExtent(
  high: number,
  low: number,
  clusterBits: number,
): { at: number; sectorBytes: number } {
  const highBits = compressedOffsetHighBits(clusterBits);
  const at = (high & (2 ** highBits - 1)) * HIGH_WORD + (low >>> 0);
  const sectors = ((high & 0x3fff_ffff) >>> highBits) + 1;
  return { at, sectorBytes: sectors * 512 };
}

/** The last cluster that packed data may touch. */
export function lastCluster(at: number, sectorBytes: number, clusterBytes: number): number {
  return Math.floor((Math.floor(at / 512) * 512 + sectorBytes - 1) / clusterBytes);
}

/** Host clusters that a compressed entry leads to: `at` is its first byte. */
export function packedClusters(
  high: number,
  low: number,
  clusterBits: number,
): { readonly at: number; readonly first: number; readonly last: number } {
  const { at, sectorBytes } = compressedExtent(high, low, clusterBits);
  const clusterBytes = 2 ** clusterBits;
  const first = Math.floor(at / clusterBytes);
  return { at, first, last: lastCluster(at, sectorBytes, clusterBytes) };
}

/** Whether an entry of `stride` words has nothing in it. */
export function isEmpty(words: Uint32Array, at: number, stride: number): boolean {
  for (let i = at; i < at + stride; i++) if (words[i] !== 0) return false;
  return true;
}

/** The entry by its kind. Spec: L2 table entry; compressed is tested first, bit 0 is address there. */
export function decodeL2Entry(high: number, low: number, format: TableFormat): L2Entry {
  const { geometry } = format;
  if ((high & COMPRESSED) !== 0) {
    const { at, sectorBytes } = compressedExtent(high, low, geometry.clusterBits);
    return { kind: 'compressed', at, sectorBytes };
  }
  const at = offsetOf(high, low);
  const copied = (high & COPIED) !== 0;
  const zero = hasZeroFlag(format) && (low & ZERO_FLAG) !== 0;
  if (at === 0) return { kind: zero ? 'zero-plain' : 'unallocated' };
  return { kind: zero ? 'zero-alloc' : 'normal', at, copied };
}

/** Whether bit 0 is the zero flag in this image. Spec: Standard Cluster Descriptor. */
export function hasZeroFlag(format: TableFormat): boolean {
  return format.version === 3 && format.geometry.l2EntryBytes === 8;
}

/** What is wrong with an L2 entry, or undefined. */
export function judgeL2Entry(
  high: number,
  low: number,
  format: TableFormat,
): EntryProblem | undefined {
  const { clusterBits, clusterBytes } = format.geometry;
  if ((high & COMPRESSED) !== 0) {
    if ((high & COPIED) !== 0) return 'copied-compressed';
    const { at, sectorBytes } = compressedExtent(high, low, clusterBits);
    if (at >= 2 ** 56) return 'reserved-bits';
    return lastCluster(at, sectorBytes, clusterBytes) >= format.fileClusters || at < clusterBytes
      ? 'past-the-end'
      : undefined;
  }
  const zeroBit = hasZeroFlag(format) ? 0 : ZERO_FLAG;
  if ((high & 0x3f00_0000) !== 0 || (low & (0x1fe | zeroBit)) !== 0) return 'reserved-bits';
  return judgeOffset(high, low, format);
}

/** What is wrong with an L1 entry, or undefined. Spec: L1 table entry. */
export function judgeL1Entry(
  high: number,
  low: number,
  format: TableFormat,
): EntryProblem | undefined {
  if ((high & 0x7f00_0000) !== 0 || (low & 0x1ff) !== 0) return 'reserved-bits';
  return judgeOffset(high, low, format);
}

function judgeOffset(high: number, low: number, format: TableFormat): EntryProblem | undefined {
  const { clusterBytes } = format.geometry;
  const at = offsetOf(high, low);
  if (at % clusterBytes !== 0) return 'misaligned';
  if (at === 0) return (high & COPIED) !== 0 ? 'copied-without-offset' : undefined;
  return at / clusterBytes >= format.fileClusters ? 'past-the-end' : undefined;
}

/** The problem in words that complete "the entry …". */
export const ENTRY_PROBLEM_TEXT: Readonly<Record<EntryProblem, string>> = {
  'reserved-bits': 'has reserved bits set',
  misaligned: 'does not point at a cluster boundary',
  'past-the-end': 'points outside the file',
  'copied-without-offset': 'has the COPIED flag but points nowhere',
  'copied-compressed': 'is compressed and has the COPIED flag',
};
