import type { PersistentBitmap } from '../../qcow2/bitmap-directory.js';
import type { BitmapEntry } from '../../qcow2/encode-bitmaps.js';
import type { BitmapContent } from './bitmap-content.js';

/** A bitmap as the edit is to leave it. */
export interface NextBitmap {
  readonly nameBytes: Uint8Array;
  readonly extraData: Uint8Array;
  readonly granularityBits: number;
  readonly inUse: boolean;
  readonly auto: boolean;
  /** Its entry before the edit, and that as it was read. */
  readonly stored: { readonly entry: BitmapEntry; readonly bitmap: PersistentBitmap } | undefined;
  /** The bits that it is to have; undefined: those that are stored, in the table that is there. */
  readonly content: BitmapContent | undefined;
}
