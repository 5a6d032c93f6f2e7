import type { CompactReport, ReadableImage } from '../../../index.js';

/** A compaction that is done. */
export interface Compacted {
  readonly path: string;
  readonly output: string;
  readonly image: ReadableImage;
  readonly report: CompactReport;
  /** What the files take on their medium, where that is known. */
  readonly oldAllocatedBytes: number | undefined;
  readonly newAllocatedBytes: number | undefined;
}
