import type { OpenImage } from '../../../image/image.js';
import type { DiskCipher } from '../../../read/guest/layer.js';
import type { Decompressor } from '../../../read/guest/platform.js';
import type { PackedClusters } from '../packed-clusters.js';
import type { Side } from './pair-steps.js';

/** What is compared, and with what. */
export interface Judging {
  readonly images: Readonly<Record<Side, OpenImage>>;
  /** The compressed clusters of the old image. */
  readonly packed: PackedClusters;
  readonly decompressor: Decompressor | undefined;
  /** Of clusters that are encrypted by their place. */
  readonly cipher: DiskCipher | undefined;
  readonly isEqual: ((a: Uint8Array, b: Uint8Array) => boolean) | undefined;
}
