import type { CompressionType } from '../../qcow2/header.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { Compressor, Cryptography, Decompressor } from '../../read/guest/platform.js';

/** What a compact image is to be like; all that is not asked for stays as it was. */
export interface CompactOptions {
  /** Which snapshots it gets (default: all), in whatever order. */
  readonly snapshots?: readonly Snapshot[] | undefined;
  /** Clusters of nothing but zeros are left out. */
  readonly dropZeros?: boolean | undefined;
  /** Equal clusters of different disks at one guest address become one. */
  readonly dedupe?: boolean | undefined;
  /** Compress every cluster that gets smaller by it. */
  readonly compress?: CompressionType | undefined;
  /** Size of clusters in bytes, a power of 2 from 512 to 2 MiB. */
  readonly clusterBytes?: number | undefined;
  /** Whether L2 entries tell of subclusters. */
  readonly extendedL2?: boolean | undefined;
  readonly version?: 2 | 3 | undefined;
  readonly refcountBits?: 1 | 2 | 4 | 8 | 16 | 32 | 64 | undefined;
  /** A faster way to tell whether two stretches are the same. */
  readonly isEqual?: ((a: Uint8Array, b: Uint8Array) => boolean) | undefined;
  readonly decompressor?: Decompressor | undefined;
  /** Needed for `compress`. */
  readonly compressor?: Compressor | undefined;
  /** Both needed for an image with LUKS: clusters that move are encrypted anew. */
  readonly cryptography?: Cryptography | undefined;
  readonly passphrase?: Uint8Array | undefined;
  /** Is told what is done at the moment, and how much of it in bytes of the old or new file. */
  readonly onProgress?:
    ((phase: 'writing' | 'comparing', doneBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One disk of the new image, which was compared with that of the old one. */
export interface CompactDisk {
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  readonly diskSizeBytes: number;
  /** Of its VM state; 0: it has none. */
  readonly vmStateBytes: number;
}

/** What a compaction did. */
export interface CompactReport {
  readonly oldFileSizeBytes: number;
  readonly newFileSizeBytes: number;
  /** Bytes of clusters that were read, each once. */
  readonly readBytes: number;
  /** Bytes of guest data and VM state that were written, runs of zeros left out. */
  readonly dataBytes: number;
  /** Clusters that were left out since they are zeros. */
  readonly zeroClusters: number;
  /** Clusters for which another disk's stands. */
  readonly dedupedClusters: number;
  /** Compressed clusters in the new image, and the bytes that they take. */
  readonly compressedClusters: number;
  readonly packedBytes: number;
  readonly disks: readonly CompactDisk[];
  /** Persistent bitmaps of the old image, which the new one has not. */
  readonly bitmapsLeftOut: number;
}
