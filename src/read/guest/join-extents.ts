import type { Extent } from './disk.js';

/** A stretch of a disk. */
interface Stretch {
  readonly start: number;
  readonly length: number;
}

/**
 * Makes neighbours that go on in the same way and place one extent, also across batches. Where the
 * batches end with an error, what came before it comes first.
 */
export function joinExtents(
  batches: AsyncIterable<readonly Extent[]>,
): AsyncGenerator<readonly Extent[]> {
  return joinNeighbours(batches, goesOn);
}

/**
 * The same for any stretches.
 *
 * @param goesOn whether a stretch that begins where another one ends goes on in the same way.
 */
export async function* joinNeighbours<One extends Stretch>(
  batches: AsyncIterable<readonly One[]>,
  goesOn: (before: One, after: One) => boolean,
): AsyncGenerator<readonly One[], void, undefined> {
  let open: One | undefined;
  try {
    for await (const stretches of batches) {
      const done: One[] = [];
      for (const stretch of stretches) {
        if (open !== undefined && endOf(open) === stretch.start && goesOn(open, stretch)) {
          open = { ...open, length: open.length + stretch.length };
        } else {
          if (open !== undefined) done.push(open);
          open = stretch;
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

function endOf({ start, length }: Stretch): number {
  return start + length;
}

function goesOn(before: Extent, after: Extent): boolean {
  const { kind, depth, length, at, reason } = before;
  if (kind !== after.kind || depth !== after.depth || reason !== after.reason) return false;
  return at === undefined ? after.at === undefined : at + length === after.at;
}
