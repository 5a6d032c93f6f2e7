import { encodeFirstCluster } from './first-cluster.js';
import type { NewImageOptions } from './image-writer.js';
import { geometryOfNew, invalidOption } from './new-image.js';

/** What clusters a new image has for its guest data from the beginning. */
export type NewPreallocation = 'off' | 'metadata' | 'falloc' | 'full';

/** What an image is made by that has clusters before anything is written to them, or its data elsewhere. */
export interface CreateImageOptions extends NewImageOptions {
  /**
   * `metadata`: tables that point at clusters which the file has no bytes for yet; `falloc`, `full`:
   * with zeros written to them, so that the medium has the room. Default: `off`.
   */
  readonly preallocation?: NewPreallocation;
  /** An external data file: nothing here opens it. */
  readonly dataFile?: { readonly name: Uint8Array; readonly raw: boolean };
}

/**
 * Refuses options that no image can have, before a file is touched.
 *
 * @throws QsnapError NEW_IMAGE_INVALID.
 */
export function checkCreateOptions(options: CreateImageOptions): void {
  const { version, backing, dataFile, extendedL2 } = options;
  const geometry = geometryOfNew(options);
  if (dataFile !== undefined && version === 2) {
    throw invalidOption('data file', "an image of version 2 can't have an external data file", {
      expected: 'an image of version 3',
    });
  }
  if (dataFile?.raw === true && backing !== undefined) {
    const message = "a data file that is a raw disk by itself can't lie over a backing file";
    throw invalidOption('data file', message);
  }
  if (backing !== undefined && (options.preallocation ?? 'off') !== 'off' && !extendedL2) {
    const message = 'clusters that are there already hide the backing file';
    const hint = 'with extended L2 entries both are possible';
    throw invalidOption('preallocation', message, { hint });
  }
  const nowhere = { activeL1: { at: 0, entries: 0 }, dataFile };
  encodeFirstCluster(options, { ...nowhere, geometry, refcountTable: { at: 0, clusters: 0 } });
}
