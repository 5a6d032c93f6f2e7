import { QsnapError } from '../../errors.js';
import type { BlockSource, ReadRequest } from '../../io/device.js';
import { viewOf } from '../../io/view.js';
import { changesWithin, type DiskChange } from './disk-change.js';

/**
 * A disk as it will be: what changes is read from `content` or is zeros, all else from the disk as it is.
 *
 * @param content has the new bytes at their guest offsets.
 * @param disk undefined: nothing else is known, and to ask for it is an error.
 */
export function changedDisk(
  content: BlockSource,
  changes: readonly DiskChange[],
  disk: BlockSource | undefined,
): BlockSource {
  const readBatch = async (requests: readonly ReadRequest[]): Promise<void> => {
    const fresh: ReadRequest[] = [];
    const kept: ReadRequest[] = [];
    for (const request of requests) {
      const end = request.at + request.into.length;
      const part = (from: number, to: number): ReadRequest => ({
        at: from,
        into: request.into.subarray(from - request.at, to - request.at),
      });
      let done = request.at;
      for (const { at, length, kind } of changesWithin(changes, request.at, end)) {
        if (at > done) kept.push(part(done, at));
        if (kind === 'data') fresh.push(part(at, at + length));
        else part(at, at + length).into.fill(0);
        done = at + length;
      }
      if (done < end) kept.push(part(done, end));
    }
    if (kept.length > 0 && disk === undefined) throw unknownRest(kept[0]!.at);
    if (kept.length > 0) await disk!.readBatch(kept);
    if (fresh.length > 0) await content.readBatch(fresh);
  };
  return viewOf(content, new Map([['readBatch', readBatch]]));
}

function unknownRest(guestOffset: number): QsnapError {
  return new QsnapError(
    'RANGE_INVALID',
    'a change covers a part of a cluster whose rest is not known',
    {
      structure: 'guest data',
      at: guestOffset,
      expected: 'whole clusters, or a disk to read the rest from',
    },
  );
}
