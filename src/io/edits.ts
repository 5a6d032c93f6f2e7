import type { BlockSource } from './device.js';

/**
 * How many edits were begun through each open device. Data that was read before an edit is stale. The header does not
 * show that: creating a snapshot and deleting it may leave the same bytes in it.
 */
const edits = new WeakMap<BlockSource, number>();

/** The number of edits that were begun through a device so far; 0 for one that is only read. */
export function editsBegun(source: BlockSource): number {
  return edits.get(source) ?? 0;
}

/** Notes that an edit is going to write through a device. */
export function noteEditBegun(source: BlockSource): void {
  edits.set(source, editsBegun(source) + 1);
}
