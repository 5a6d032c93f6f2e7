import type { BlockSource } from '../../io/device.js';
import { type Preallocation } from './growth.js';

/** What size, and what may be done for it. */
export interface ResizeOptions {
  /** The size of the active disk to be, in bytes: a multiple of 512. */
  readonly diskSizeBytes: number;
  /** Allow a smaller size. What lies past the new end is lost; snapshots keep what they hold. */
  readonly shrink?: boolean;
  /**
   * Give the grown range its clusters at once: only in the tables ("metadata"), or with zeros
   * written to them, so that the medium has the room ("falloc" and "full"). Default: "off".
   */
  readonly preallocation?: Preallocation;
  /**
   * How long the disk of the backing file is, for images that have one: from there on nothing of it
   * can show. Without it the whole grown range is made to read as zeros.
   */
  readonly backingSizeBytes?: number;
  /**
   * The active disk as its guest sees it. It is read only if the old end lies inside a cluster over a longer backing
   * file: then that cluster is copied.
   */
  readonly disk?: BlockSource;
}
