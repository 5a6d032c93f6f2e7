import type { BlockSource } from '../io/device.js';

/**
 * How a stretch of a virtual disk is kept.
 *
 * - `data`: guest bytes lie as they are (or encrypted) in the host file;
 * - `compressed`: they lie compressed;
 * - `zero`: the layer says that they read as zeros, whether or not it has clusters for them;
 * - `unallocated`: no layer of the chain says anything: they read as zeros.
 */
export type ExtentKind = 'data' | 'compressed' | 'zero' | 'unallocated';

/** A stretch of a virtual disk that is kept in one way and in one place. */
export interface Extent {
  /** Guest offset in bytes. */
  readonly start: number;
  readonly length: number;
  readonly kind: ExtentKind;
  /** Which layer of the chain decides: 0 is the image itself, 1 its backing file, and so on. */
  readonly depth: number;
  /**
   * Host offset of the first byte in the file of that layer: for `data`, and for `zero` where a
   * cluster is kept in reserve. Neighbours in one extent are neighbours in the file, too.
   */
  readonly at?: number;
}

/**
 * A virtual disk as a guest sees it: the active disk or a snapshot's, through compression,
 * encryption and backing files. It can be read like any other source, `sizeBytes` is the size of
 * the disk, and bytes past its end read as zero.
 */
export interface GuestDisk extends BlockSource {
  /** Of this layer alone; 0 for a raw disk. */
  readonly clusterBytes: number;
  /** The disks below, the nearest first; a raw file has none. */
  readonly chain: readonly GuestDisk[];
  /**
   * The extents of the guest range `from` to `to`, ascending and without gaps, in batches of what
   * was read together. Neighbours that could be one extent are one, also across batches.
   */
  extents(from: number, to: number): AsyncIterable<readonly Extent[]>;
}
