import { type ReadableImage, type Snapshot } from '../../../index.js';

/** One of the two disks that are compared. */
export interface ComparedSide {
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  /** Undefined for a raw disk. */
  readonly image: ReadableImage | undefined;
  readonly snapshot: Snapshot | undefined;
}
