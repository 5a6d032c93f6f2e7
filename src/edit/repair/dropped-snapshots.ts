import type { CheckedImage } from '../../image/open-for-check.js';
import type { RepairChoice } from './choice.js';

/** Snapshots that a repair drops. */
export interface DroppedSnapshots {
  /** Those that were chosen one by one, in the order of the list. */
  readonly named: readonly { readonly id: string; readonly name: string }[];
  /** How many entries can't be read, by what the header counts. */
  readonly unread: number;
}

/** @returns undefined where all stay. */
export function droppedSnapshots(
  { image, pointer }: CheckedImage,
  { dropSnapshots = [], dropUnreadSnapshots }: RepairChoice,
): DroppedSnapshots | undefined {
  const named = image.snapshots
    .filter(({ index }) => dropSnapshots.includes(index))
    .map(({ id, name }) => ({ id, name }));
  const missing = Math.max(0, pointer.claimed - image.snapshots.length);
  const unread = dropUnreadSnapshots === true ? missing : 0;
  return named.length + unread === 0 ? undefined : { named, unread };
}
