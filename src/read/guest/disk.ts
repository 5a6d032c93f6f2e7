import type { BlockSource } from '../../io/device.js';

/**
 * How a stretch of a virtual disk is kept.
 *
 * - `data`: guest bytes lie as they are (or encrypted) in the host file;
 * - `compressed`: they lie compressed;
 * - `preallocated`: clusters are mapped for it, but the host file has a hole there: nothing was ever
 *   written, and they read as zeros. Told from `data` only where a disk is opened as QEMU would;
 * - `zero`: the layer says that they read as zeros, whether or not it has clusters for them; also a
 *   hole of a raw file;
 * - `backing`: the image leaves them to its backing file, which was not opened;
 * - `unallocated`: no layer of the chain says anything: they read as zeros;
 * - `unreadable`: the tables that lead there are damaged, or the file ends before. Told only where a
 *   disk is opened to go on past damage.
 */
export type ExtentKind =
  'data' | 'compressed' | 'preallocated' | 'zero' | 'backing' | 'unallocated' | 'unreadable';

/** A stretch of a virtual disk that is kept in one way and in one place. */
export interface Extent {
  /** Guest offset in bytes. */
  readonly start: number;
  readonly length: number;
  readonly kind: ExtentKind;
  /**
   * Which layer of the chain decides: 0 is the image itself, 1 its backing file, and so on. For
   * `unallocated` the lowest layer that is long enough to be asked.
   */
  readonly depth: number;
  /**
   * Offset of the first byte in the file of that layer, or in its data file if it has one. Given for `data` and
   * `preallocated`, and for `zero` and `unallocated` if a cluster is reserved for them. The bytes of one extent
   * lie in a row in the file.
   */
  readonly at?: number;
  /** Why it is `unreadable`, in a few words. */
  readonly reason?: string;
}

/** Guest bytes that could not be read, and are zeros. */
export interface Loss {
  /** Guest offset in bytes. */
  readonly start: number;
  readonly length: number;
  /** In a few words. */
  readonly reason: string;
}

/** How a disk tells its extents. */
export interface ExtentOptions {
  /**
   * What layers mean for the ends of an extent:
   *
   * - `joined` (the default): nothing; neighbours that could be one extent are one;
   * - `apart`: it also ends where an extent of a layer above ends, such as one of reserved clusters. QEMU's answers
   *   are like this;
   * - `own`: this layer is told of alone, and what it leaves to the one below is `unallocated`.
   */
  readonly layers?: 'joined' | 'apart' | 'own';
}

/**
 * A virtual disk as a guest sees it: the active disk or a snapshot's, through compression,
 * encryption and backing files. It can be read like any other source: `label` is the file's,
 * `sizeBytes` is the size of the disk, and bytes past its end read as zero. `close` closes what was
 * opened for this disk, backing and data files; the file that the caller gave stays open.
 */
export interface GuestDisk extends BlockSource {
  readonly format: 'qcow2' | 'raw';
  /** Of this layer alone; 0 for a raw disk. */
  readonly clusterBytes: number;
  /** Bytes of an L2 entry of this layer; 0 for a raw disk. */
  readonly l2EntryBytes: 0 | 8 | 16;
  /** Whether guest data of this layer is encrypted in its file. */
  readonly encrypted: boolean;
  /** What people call the file that guest data of this layer lies in; `label` without a data file. */
  readonly dataLabel: string;
  /** Whether guest data of this layer lies in a data file, opened or not. */
  readonly externalData: boolean;
  /** What this layer is read from: the image or raw file, and the data file if that was opened. */
  readonly sources: readonly BlockSource[];
  /** The disks below, the nearest first; a raw file has none. */
  readonly chain: readonly GuestDisk[];
  /**
   * The extents of the guest range `from` to `to`, ascending and without gaps, in batches of what
   * was read together. Neighbours that could be one extent are one, also across batches.
   *
   * @throws QsnapError IMAGE_DAMAGED for an entry that can't be right, IMAGE_TRUNCATED for what lies
   *   past the end of the file, after all extents before it.
   */
  extents(from: number, to: number, options?: ExtentOptions): AsyncIterable<readonly Extent[]>;
}
