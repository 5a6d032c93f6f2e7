import { type ReadableImage, type Snapshot } from '../../../index.js';
import { describeSnapshot, printableText } from '../../../internal.js';

/** One of the two disks that are compared. */
export interface ComparedSide {
  readonly path: string;
  readonly format: 'raw' | 'qcow2';
  /** Undefined for a raw disk. */
  readonly image: ReadableImage | undefined;
  readonly snapshot: Snapshot | undefined;
}

/** A disk of an image, in words. */
export function diskText(path: string, snapshot: Snapshot | undefined): string {
  const shown = printableText(path);
  if (snapshot === undefined) return `the active disk of ${shown}`;
  return `snapshot ${describeSnapshot(snapshot)} of ${shown}`;
}
