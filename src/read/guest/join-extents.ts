import type { Extent } from './disk.js';

/**
 * Makes neighbours that go on in the same way and place one extent, also across batches. Where the
 * batches end with an error, what came before it comes first.
 */
export async function* joinExtents(
  batches: AsyncIterable<readonly Extent[]>,
): AsyncGenerator<readonly Extent[]> {
  let open: Extent | undefined;
  try {
    for await (const extents of batches) {
      const done: Extent[] = [];
      for (const extent of extents) {
        if (open !== undefined && goesOn(open, extent)) {
          open = { ...open, length: open.length + extent.length };
        } else {
          if (open !== undefined) done.push(open);
          open = extent;
        }
      }
      if (done.length > 0) yield done;
    }
  } catch (error) {
    if (open !== undefined) yield [open];
    throw error;
  }
  if (open !== undefined) yield [open];
}

function goesOn(before: Extent, after: Extent): boolean {
  const { kind, depth, start, length, at, reason } = before;
  if (kind !== after.kind || depth !== after.depth || start + length !== after.start) return false;
  if (reason !== after.reason) return false;
  return at === undefined ? after.at === undefined : at + length === after.at;
}
