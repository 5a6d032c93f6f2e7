import type { NewImageOptions } from './image-writer.js';

/** What clusters an empty image has for its guest data from the beginning. */
export type NewPreallocation = 'off' | 'metadata' | 'falloc' | 'full';

/** What an empty image is made by. */
export interface CreateImageOptions extends NewImageOptions {
  /**
   * `metadata`: tables that point at clusters which the file has no bytes for yet; `falloc`, `full`:
   * with zeros written to them, so that the medium has the room. Default: `off`.
   */
  readonly preallocation?: NewPreallocation;
  /** An external data file: nothing here opens it. */
  readonly dataFile?: { readonly name: Uint8Array; readonly raw: boolean };
}
