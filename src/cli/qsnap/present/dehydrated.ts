import type { DehydrateReport, ReadableImage, RehydrateReport } from '../../../index.js';

/** What was written of an image without its guest data. */
export type WrittenReport =
  | { readonly operation: 'dehydrate'; readonly report: DehydrateReport }
  | { readonly operation: 'rehydrate'; readonly report: RehydrateReport };

/** A new image with the metadata of another one. */
export type Dehydrated = WrittenReport & {
  readonly path: string;
  readonly output: string;
  readonly image: ReadableImage;
  /** What the new file takes on its medium, where that is known. */
  readonly allocatedBytes: number | undefined;
};
