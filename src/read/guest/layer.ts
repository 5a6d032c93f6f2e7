import type { OpenImage } from '../../image/image.js';
import type { BlockSource, ByteRange } from '../../io/device.js';
import type { Extent, ExtentOptions, GuestDisk, Loss } from './disk.js';
import type { L2Tables } from './l2-tables.js';
import type { Decompressor, SectorCipher } from './platform.js';
import type { TableMap } from './table-rules.js';

/** A disk that can be asked for many ranges at once, as the layer above it has to. */
export interface LayerDisk extends GuestDisk {
  /** The extents of ascending ranges that don't touch, with depths from `depth` on. */
  extentsIn(
    ranges: readonly ByteRange[],
    depth: number,
    options: ExtentOptions | undefined,
  ): AsyncIterable<readonly Extent[]>;
}

/** How guest data is decrypted, and encrypted again. */
export interface DiskCipher {
  readonly decrypt: SectorCipher;
  readonly encrypt: SectorCipher;
  /** What numbers the sectors: the place in the file, or the place on the disk. */
  readonly numberedBy: 'host' | 'guest';
}

/** All that a disk in a qcow2 image is read by. */
export interface Layer {
  readonly image: OpenImage;
  readonly tables: L2Tables;
  readonly map: TableMap;
  readonly diskSizeBytes: number;
  /** Where guest data lies; undefined: in a data file that was not opened. */
  readonly data: BlockSource | undefined;
  /** Undefined: nothing is encrypted, or the passphrase is missing. */
  readonly cipher: DiskCipher | undefined;
  readonly decompressor: Decompressor | undefined;
  /** Where the file ends that guest data lies in; Infinity where what lies behind it counts as zeros. */
  readonly dataEnd: number;
  /** Whether extents go on past what can't be read. */
  readonly unreadableExtents: boolean;
  /** Told of what could not be read; undefined: that is an error. */
  readonly onLost: ((loss: Loss) => void) | undefined;
  /** The disk below, its size, or that it may not be opened. */
  readonly backing: Backing;
  /** Whether the file has holes where clusters are mapped. */
  readonly hasHoles: () => Promise<boolean>;
  /** Closes what was opened for this disk. */
  readonly close: () => Promise<void>;
}

/** What is below an image. */
export type Backing =
  | { readonly kind: 'none' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly disk: LayerDisk; readonly sizeBytes: number };
