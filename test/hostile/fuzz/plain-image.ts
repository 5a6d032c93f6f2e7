/** A small image built by hand, of everything that the traps are set in; sound until it is patched. */
import { deflateRawSync } from 'node:zlib';

export const CLUSTER = 4096;

/** Host clusters of the image, by what lies in them. */
export const PLACE = {
  header: 0,
  refcountTable: 1,
  refcountBlock: 2,
  activeL1: 3,
  l2: 4,
  data: 5,
  snapshotTable: 6,
  snapshotL1: 7,
  packed: 8,
  bitmapDirectory: 9,
  bitmapTable: 10,
  bitmapData: 11,
  luks: 12,
  end: 13,
} as const;

export const at = (place: keyof typeof PLACE, plus = 0): number => PLACE[place] * CLUSTER + plus;

/** Byte offsets of extensions in the header's cluster. */
export const EXTENSION = { bitmaps: 112, encryption: 144, end: 168 } as const;

const DISK_BYTES = 64 * CLUSTER;
const COMPRESSED = 1n << 62n;
/** Bits of a compressed entry that are an offset: 62 - (cluster_bits - 8). */
const OFFSET_BITS = 58n;

/** An entry for a stream of so many sectors beyond the first. */
export function compressedEntry(offset: number, moreSectors: number): bigint {
  return COMPRESSED | (BigInt(moreSectors) << OFFSET_BITS) | BigInt(offset);
}

/** Big-endian numbers to put into an image: where, how many bytes, what. */
export type Patch = readonly [at: number, bytes: 1 | 2 | 4 | 8, value: number | bigint];

export function patch(image: Uint8Array, patches: readonly Patch[]): void {
  for (const [offset, bytes, value] of patches) {
    for (let i = 0; i < bytes; i++) {
      image[offset + i] = Number((BigInt(value) >> BigInt(8 * (bytes - 1 - i))) & 255n);
    }
  }
}

export interface PlainImageOptions {
  readonly version?: 2 | 3;
  /** A directory with one bitmap. */
  readonly bitmaps?: boolean;
  /** A LUKS1 header, and crypt_method 2. */
  readonly luks?: boolean;
  readonly zstd?: boolean;
}

/**
 * Version 3, clusters of 4 KiB, one data cluster and one compressed one, one snapshot that shares
 * both with the active disk.
 */
export function plainImage(options: PlainImageOptions = {}): Uint8Array {
  const image = new Uint8Array(PLACE.end * CLUSTER);
  const { version = 3, bitmaps = false, luks = false } = options;
  const features = options.zstd === true ? 8 : 0;
  patch(image, [
    ...[[0, 4, 0x514649fb] as const, [4, 4, version] as const, [20, 4, 12] as const],
    ...[[24, 8, DISK_BYTES] as const, [32, 4, luks ? 2 : 0] as const, [36, 4, 1] as const],
    ...[[40, 8, at('activeL1')] as const, [48, 8, at('refcountTable')] as const],
    ...[[56, 4, 1] as const, [60, 4, 1] as const, [64, 8, at('snapshotTable')] as const],
    [at('refcountTable'), 8, at('refcountBlock')],
    [at('activeL1'), 8, at('l2')],
    [at('snapshotL1'), 8, at('l2')],
    [at('l2'), 8, at('data')],
  ]);
  if (version === 3) {
    patch(image, [
      ...[[72, 8, features] as const, [88, 8, bitmaps ? 1 : 0] as const],
      ...[[96, 4, 4] as const, [100, 4, 112] as const, [104, 1, options.zstd ? 1 : 0] as const],
    ]);
  }
  image.fill(0xd5, at('data'), at('data') + CLUSTER);
  const packed = deflateRawSync(Buffer.alloc(CLUSTER, 'packed '));
  image.set(packed, at('packed'));
  patch(image, [[at('l2', 16), 8, compressedEntry(at('packed'), 0)]]);
  addSnapshot(image);
  if (bitmaps) addBitmaps(image);
  if (luks) addLuks(image);
  countReferences(image, { bitmaps, luks });
  return image;
}

function addSnapshot(image: Uint8Array): void {
  const entry = at('snapshotTable');
  patch(image, [
    ...[[entry, 8, at('snapshotL1')] as const, [entry + 8, 4, 1] as const],
    ...[[entry + 12, 2, 1] as const, [entry + 14, 2, 4] as const, [entry + 36, 4, 24] as const],
    ...[[entry + 48, 8, DISK_BYTES] as const, [entry + 56, 8, (1n << 64n) - 1n] as const],
  ]);
  image.set(Buffer.from('1trap'), entry + 64);
}

function addBitmaps(image: Uint8Array): void {
  const [extension, entry] = [EXTENSION.bitmaps, at('bitmapDirectory')];
  patch(image, [
    ...[[extension, 4, 0x23852875] as const, [extension + 4, 4, 24] as const],
    ...[[extension + 8, 4, 1] as const, [extension + 16, 8, 32] as const],
    [extension + 24, 8, entry],
    ...[[entry, 8, at('bitmapTable')] as const, [entry + 8, 4, 1] as const],
    ...[[entry + 16, 1, 1] as const, [entry + 17, 1, 16] as const, [entry + 18, 2, 4] as const],
    [at('bitmapTable'), 8, at('bitmapData')],
  ]);
  image.set(Buffer.from('bits'), entry + 24);
}

function addLuks(image: Uint8Array): void {
  const [extension, header] = [EXTENSION.encryption, at('luks')];
  patch(image, [
    ...[[extension, 4, 0x0537be77] as const, [extension + 4, 4, 16] as const],
    ...[[extension + 8, 8, header] as const, [extension + 16, 8, CLUSTER] as const],
    ...[[header, 4, 0x4c554b53] as const, [header + 4, 2, 0xbabe] as const],
    ...[[header + 6, 2, 1] as const, [header + 104, 4, 4040] as const],
    ...[[header + 108, 4, 64] as const, [header + 164, 4, 1000] as const],
    ...[[header + 208, 4, 0x00ac71f3] as const, [header + 212, 4, 1000] as const],
    ...[[header + 248, 4, 8] as const, [header + 252, 4, 4000] as const],
  ]);
  for (let slot = 1; slot < 8; slot++) patch(image, [[header + 208 + slot * 48, 4, 0x0000dead]]);
  for (const [offset, text] of [
    [8, 'aes'],
    [40, 'xts-plain64'],
    [72, 'sha256'],
  ] as const) {
    image.set(Buffer.from(text), header + offset);
  }
  // Between the two extensions lies one that nobody knows, so that both keep their places.
  patch(image, [
    [EXTENSION.bitmaps, 4, 0x6b6e6f77],
    [EXTENSION.bitmaps + 4, 4, 24],
  ]);
}

function countReferences(
  image: Uint8Array,
  has: { readonly bitmaps: boolean; readonly luks: boolean },
): void {
  const counts: Record<string, number> = { header: 1, refcountTable: 1, refcountBlock: 1 };
  Object.assign(counts, {
    activeL1: 1,
    l2: 2,
    packed: 2,
    data: 2,
    snapshotTable: 1,
    snapshotL1: 1,
  });
  if (has.bitmaps) Object.assign(counts, { bitmapDirectory: 1, bitmapTable: 1, bitmapData: 1 });
  if (has.luks) counts['luks'] = 1;
  for (const [place, count] of Object.entries(counts)) {
    patch(image, [[at('refcountBlock', 2 * PLACE[place as keyof typeof PLACE]), 2, count]]);
  }
}
