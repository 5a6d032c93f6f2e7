/** Guest data for new images: a random mix of what a writer takes, and the disk that it makes. */
import { deflateRawSync } from 'node:zlib';
import type { GuestWrite, NewImageOptions } from '../../src/index.js';
import type { Random } from './model-random.js';

/** Options as qemu-img has them by default. */
export const PLAIN: NewImageOptions = {
  diskSizeBytes: 1024 * 1024,
  version: 3,
  clusterBytes: 65536,
  refcountBits: 16,
  extendedL2: false,
  lazyRefcounts: false,
  compressionType: 'zlib',
};

/** One of the sets of options that the format allows; the disk is some hundred clusters long. */
export function randomOptions(random: Random): NewImageOptions {
  const version = random.chance(0.3) ? 2 : 3;
  const isNew = version === 3;
  const extendedL2 = isNew && random.chance(0.3);
  const clusterBits = (extendedL2 ? 14 : 9) + random.below(extendedL2 ? 4 : 10);
  const sectors = random.below(2 ** (clusterBits - 9) * 300) + 1;
  return {
    diskSizeBytes: sectors * 512,
    version,
    clusterBytes: 2 ** clusterBits,
    refcountBits: isNew ? random.pick([1, 2, 4, 8, 16, 32, 64] as const) : 16,
    extendedL2,
    lazyRefcounts: isNew && random.chance(0.3),
    compressionType: isNew && random.chance(0.3) ? 'zstd' : 'zlib',
  };
}

export interface NewContent {
  readonly writes: readonly GuestWrite[];
  /** The disk: bytes that were written, over `below`. */
  readonly disk: Uint8Array;
  /** What is kept in one way: a subcluster, or a cluster where there are none. */
  readonly unitBytes: number;
  /** How each unit is kept. */
  readonly kinds: readonly (GuestWrite['kind'] | 'nothing')[];
}

/** A random mix of stretches. `below` is what shows where nothing is written. */
export function randomContent(
  options: NewImageOptions,
  random: Random,
  below = new Uint8Array(options.diskSizeBytes),
): NewContent {
  const { diskSizeBytes, clusterBytes } = options;
  const unitBytes = options.extendedL2 ? clusterBytes / 32 : clusterBytes;
  const disk = below.slice();
  const writes: GuestWrite[] = [];
  const kinds: NewContent['kinds'][number][] = [];
  for (let at = 0; at < diskSizeBytes;) {
    const picked = random.pick(['data', 'compressed', 'compressed', 'zero', 'nothing'] as const);
    const kind = picked === 'compressed' && at % clusterBytes !== 0 ? 'data' : picked;
    const grain = random.chance(0.5) ? unitBytes : clusterBytes;
    const length = kind === 'compressed' ? clusterBytes : (1 + random.below(20)) * grain;
    const end = Math.min(diskSizeBytes, at + length);
    for (let unit = at; unit < end; unit += unitBytes) kinds.push(kind);
    if (kind === 'data') {
      for (let i = at; i < end; i += 1) disk[i] = random.below(256);
      writes.push({ kind, at, bytes: disk.slice(at, end) });
    } else if (kind === 'zero') {
      disk.fill(0, at, end);
      writes.push({ kind, at, length: end - at });
    } else if (kind === 'compressed') {
      const cluster = compressible(clusterBytes, options.compressionType, random);
      disk.set(cluster.subarray(0, end - at), at);
      writes.push({ kind, at, packed: packed(cluster, options.compressionType) });
    }
    at = end;
  }
  return { writes, disk, unitBytes, kinds };
}

function compressible(
  bytes: number,
  type: NewImageOptions['compressionType'],
  random: Random,
): Uint8Array {
  const cluster = new Uint8Array(bytes).fill(random.below(256));
  // zstd is packed by hand here, and only one byte again and again.
  const noise = type === 'zstd' ? 0 : random.below(Math.ceil(bytes / 3));
  for (let i = 0; i < noise; i += 1) cluster[i] = random.below(256);
  return cluster;
}

/** A cluster packed as an image keeps it. For zstd all its bytes are equal. */
export function packed(cluster: Uint8Array, type: NewImageOptions['compressionType']): Uint8Array {
  if (type === 'zlib') return new Uint8Array(deflateRawSync(cluster, { windowBits: 12 }));
  // One frame of a single segment that tells its size in 4 bytes, of blocks of a repeated byte.
  const frame = [0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000, ...littleEndian(cluster.length, 4)];
  const blockBytes = 128 * 1024;
  for (let from = 0; from < cluster.length; from += blockBytes) {
    const length = Math.min(blockBytes, cluster.length - from);
    const isLast = from + length === cluster.length ? 1 : 0;
    frame.push(...littleEndian(length * 8 + 2 + isLast, 3), cluster[0]!);
  }
  return Uint8Array.from(frame);
}

function littleEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256);
}

/** The same writes in batches of random length. */
export function inBatches(writes: readonly GuestWrite[], random: Random): GuestWrite[][] {
  const batches: GuestWrite[][] = [];
  for (let from = 0; from < writes.length;) {
    const length = 1 + random.below(12);
    batches.push(writes.slice(from, from + length));
    from += length;
  }
  return batches;
}
