/** A disk that is read as far as it can be, for `convert --salvage`. */
import { isQsnapError, type Extent, type GuestDisk, type ReadRequest } from '../../../index.js';
import { diskWith } from './disk-with.js';

const SECTOR_BYTES = 512;

/**
 * The same disk; sectors that can't be read are zeros.
 *
 * @param onLost called with the guest offset of each of them, in the order of a request.
 */
export function salvagedDisk(disk: GuestDisk, onLost: (at: number) => void): GuestDisk {
  const readBatch = async (requests: readonly ReadRequest[]): Promise<void> => {
    if (await isRead(disk, requests)) return;
    for (const request of requests) {
      if (await isRead(disk, [request])) continue;
      for (const sector of sectorsOf(request)) {
        if (await isRead(disk, [sector])) continue;
        sector.into.fill(0);
        onLost(sector.at);
      }
    }
  };
  return diskWith(disk, { readBatch, extents: (from, to) => withoutDamage(disk, from, to) });
}

/** What nobody can map is read as data, as QEMU does: its sectors are then lost one by one. */
async function* withoutDamage(
  disk: GuestDisk,
  from: number,
  to: number,
): AsyncGenerator<readonly Extent[]> {
  for await (const extents of disk.extents(from, to)) {
    yield extents.map((extent) => {
      const { start, length, kind, depth } = extent;
      return kind === 'unreadable' ? { start, length, kind: 'data', depth } : extent;
    });
  }
}

async function isRead(disk: GuestDisk, requests: readonly ReadRequest[]): Promise<boolean> {
  try {
    await disk.readBatch(requests);
    return true;
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return false;
  }
}

function* sectorsOf({ at, into }: ReadRequest): Generator<ReadRequest> {
  for (let done = 0; done < into.length; done += SECTOR_BYTES) {
    yield { at: at + done, into: into.subarray(done, done + SECTOR_BYTES) };
  }
}
