import type { DiskChange } from '../edit/write/disk-change.js';

/** Changes ascending, in batches of what was found together. */
export type Changes = AsyncIterable<readonly DiskChange[]>;

/** Joins neighbours that are alike, across batches, too. */
export async function* joined(changes: Changes): Changes {
  let open: { at: number; length: number; kind: DiskChange['kind'] } | undefined;
  for await (const batch of changes) {
    const done: DiskChange[] = [];
    for (const { at, length, kind } of batch) {
      if (open?.kind === kind && open.at + open.length === at) {
        open.length += length;
        continue;
      }
      if (open !== undefined) done.push(open);
      open = { at, length, kind };
    }
    if (done.length > 0) yield done;
  }
  if (open !== undefined) yield [open];
}

/**
 * The first changes that together touch at most so many clusters, to be written at once. A long change is cut where a
 * cluster ends.
 */
export async function firstPortion(
  changes: Changes,
  clusterBytes: number,
  most: number,
): Promise<readonly DiskChange[]> {
  const portion: DiskChange[] = [];
  let left = most;
  for await (const batch of changes) {
    for (const { at, length, kind } of batch) {
      const first = Math.floor(at / clusterBytes);
      const to = Math.min(at + length, (first + left) * clusterBytes);
      portion.push({ at, length: to - at, kind });
      left -= Math.ceil(to / clusterBytes) - first;
      if (left <= 0) return portion;
    }
  }
  return portion;
}
