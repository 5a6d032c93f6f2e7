import { isZero } from '../base/bytes.js';
import { newIoBytes } from '../base/io-bytes.js';
import { MiB } from '../base/units.js';
import type { DiskChange } from '../edit/write/disk-change.js';
import type { BlockDevice } from '../io/device.js';
import type { GuestDisk } from '../read/guest/disk.js';
import type { Changes } from './changes.js';
import { writeImage, type WriteOptions, type WriteReport } from './write-image.js';

/** How a disk is written over another one. */
export interface OverwriteOptions extends WriteOptions {
  /** All becomes data, zeros too: `qemu-img convert -S 0`. */
  readonly everything?: boolean | undefined;
}

/** Looked through at a time. */
const STEP_BYTES = 4 * MiB;
/** Bytes that are data or zeros together. Small clusters are not told apart: the list of changes would be as long. */
const UNIT_BYTES_MIN = 4096;
const UNIT_BYTES_MAX = 65_536;

/**
 * Writes a whole disk over the active disk of an image. What lies behind the end of `content` stays, and snapshots keep
 * what they have. Zeros hide what a backing file has.
 *
 * @param content is read while the image is written, and must have no part in it.
 * @throws QsnapError what `writeImage` and reading `content` throw.
 */
export function overwriteDisk(
  device: BlockDevice,
  content: GuestDisk,
  options: OverwriteOptions,
): Promise<WriteReport> {
  const changesFrom = (disk: GuestDisk, from: number): Changes =>
    options.everything === true ? wholeDisk(content, from) : contentOf(content, from, unitOf(disk));
  return writeImage(device, { changesFrom, content }, options);
}

/** A cluster, or the part of one that can be zeros by itself. */
function unitOf({ clusterBytes, l2EntryBytes }: GuestDisk): number {
  const unitBytes = l2EntryBytes === 16 ? clusterBytes / 32 : clusterBytes;
  return Math.min(UNIT_BYTES_MAX, Math.max(UNIT_BYTES_MIN, unitBytes));
}

async function* wholeDisk(content: GuestDisk, from: number): Changes {
  const length = (await content.sizeBytes()) - from;
  if (length > 0) yield [{ at: from, length, kind: 'data' }];
}

async function* contentOf(content: GuestDisk, from: number, unitBytes: number): Changes {
  const diskBytes = await content.sizeBytes();
  if (from >= diskBytes) return;
  const memory = newIoBytes(Math.min(STEP_BYTES, diskBytes - from));
  for await (const batch of content.extents(from, diskBytes)) {
    for (const { start, length, kind } of batch) {
      if (kind !== 'data' && kind !== 'compressed') {
        yield [{ at: start, length, kind: 'zero' }];
        continue;
      }
      const end = start + length;
      for (let at = start; at < end;) {
        const stepEnd = (Math.floor(at / STEP_BYTES) + 1) * STEP_BYTES;
        const bytes = memory.subarray(0, Math.min(end, stepEnd, at + memory.length) - at);
        await content.readBatch([{ at, into: bytes }]);
        yield unitsOf(bytes, at, unitBytes);
        at += bytes.length;
      }
    }
  }
}

function unitsOf(bytes: Uint8Array, from: number, unitBytes: number): readonly DiskChange[] {
  const units: DiskChange[] = [];
  for (let done = 0; done < bytes.length;) {
    const at = from + done;
    const unitEnd = (Math.floor(at / unitBytes) + 1) * unitBytes - from;
    const unit = bytes.subarray(done, Math.min(unitEnd, bytes.length));
    units.push({ at, length: unit.length, kind: isZero(unit) ? 'zero' : 'data' });
    done += unit.length;
  }
  return units;
}
