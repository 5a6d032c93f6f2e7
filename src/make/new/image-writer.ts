import type { CompressionType } from '../../qcow2/header.js';

/** What a new qcow2 image is made by. Sizes are bytes. */
export interface NewImageOptions {
  readonly diskSizeBytes: number;
  readonly version: 2 | 3;
  readonly clusterBytes: number;
  readonly refcountBits: 1 | 2 | 4 | 8 | 16 | 32 | 64;
  readonly extendedL2: boolean;
  readonly lazyRefcounts: boolean;
  readonly compressionType: CompressionType;
  /** The name as bytes, kept as it is; nothing opens it. */
  readonly backing?: { readonly name: Uint8Array; readonly format: string | undefined };
  readonly encryption?: NewEncryption | undefined;
}

/** How the guest data of a new image is encrypted. */
export interface NewEncryption {
  readonly method: 'aes' | 'luks';
  /** What the image keeps of the keys: a LUKS header with its key material. Nothing for AES. */
  readonly keys: Uint8Array | undefined;
  /** Encrypts whole sectors of 512 bytes in place. */
  readonly encrypt: (bytes: Uint8Array, firstSector: number) => void;
  /** What numbers the sectors: the place in the file, or the place on the disk. */
  readonly numberedBy: 'host' | 'guest';
}

/**
 * A stretch of guest data for a new image. It begins and ends at multiples of the writer's
 * `unitBytes`, but for the end of the disk. A `compressed` one is one guest cluster.
 */
export type GuestWrite =
  | { readonly kind: 'data'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'compressed'; readonly at: number; readonly packed: Uint8Array }
  | { readonly kind: 'zero'; readonly at: number; readonly length: number };

/**
 * Takes guest data in ascending order and makes an image of it. What is never written reads as the
 * backing file does, or as zeros. Until `finish` has resolved, the file is no image.
 *
 * A failure is for good: every later call fails with it, too.
 */
export interface ImageWriter {
  /** Bytes of a guest cluster, which is what is compressed; 512 for a raw disk. */
  readonly clusterBytes: number;
  /** What stretches are aligned to: bytes of a subcluster where there are any, else a cluster. */
  readonly unitBytes: number;
  readonly takesCompressed: boolean;
  /** What unpacks compressed clusters of the new image. Not there: nobody tells. */
  readonly compressionType?: CompressionType | undefined;
  /**
   * Writes ascend and do not overlap, also from batch to batch. The next batch may be passed before this one has
   * resolved, so that one is read while the other is written. Until it resolves, its bytes must not change.
   */
  writeBatch(writes: readonly GuestWrite[]): Promise<void>;
  /** Waits for all batches, writes the tables, flushes, writes the header, flushes. */
  finish(): Promise<void>;
}
