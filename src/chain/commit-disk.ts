import { completeHeader } from '../edit/header/set-backing.js';
import { editWithinRoom } from '../edit/plan/within-room.js';
import { planResize } from '../edit/resize/plan-resize.js';
import { executePlan } from '../edit/tx/execute.js';
import type { DiskChange } from '../edit/write/disk-change.js';
import { openImage } from '../image/open.js';
import type { BlockDevice } from '../io/device.js';
import type { GuestDisk } from '../read/guest/disk.js';
import { openGuestDisk } from '../read/guest/open-guest-disk.js';
import { joined, type Changes } from './changes.js';
import { writeImage, type WriteOptions, type WriteReport } from './write-image.js';
import { writeRaw } from './write-raw.js';

/** What a commit writes into. */
export interface CommitTarget {
  readonly device: BlockDevice;
  readonly format: 'qcow2' | 'raw';
}

/** How a commit is made. */
export interface CommitOptions extends WriteOptions {
  /** How many layers are above the target: 1 where it is the backing file of the disk's own image. */
  readonly layersAbove?: number | undefined;
}

/**
 * Writes what the layers above a target say into the target, so that it reads as the disk does. The disk itself stays as
 * it is, and reads the same in every state in between, since what it says goes before what is below it: after a cut the
 * same commit may be made again. Snapshots of a qcow2 target keep what they have. A shorter target is made longer first.
 *
 * @param disk the active disk at the top. It is read while the target is written: what stands for the target in its chain is not read.
 * @throws QsnapError what `writeImage` and `planResize` throw.
 */
export async function commitDisk(
  disk: GuestDisk,
  { device, format }: CommitTarget,
  options: CommitOptions,
): Promise<WriteReport> {
  const { layersAbove = 1 } = options;
  const diskBytes = await disk.sizeBytes();
  if (format === 'raw') {
    if ((await device.sizeBytes()) < diskBytes) await device.truncate(diskBytes);
    return writeRaw(device, joined(saidAbove(disk, 0, layersAbove)), disk, options);
  }
  const { diskSizeBytes } = (await openImage(device)).header;
  if (diskSizeBytes < diskBytes) await grow(device, diskBytes, options);
  const changesFrom = (_: GuestDisk, from: number): Changes =>
    saidAbove(disk, from, layersAbove, diskSizeBytes);
  return writeImage(device, { changesFrom, content: disk }, options);
}

/**
 * What layers above a depth say of a disk: data, or zeros.
 *
 * @param zerosFrom where nobody says anything, the target reads as zeros from here on.
 */
async function* saidAbove(
  disk: GuestDisk,
  from: number,
  layers: number,
  zerosFrom = Infinity,
): Changes {
  for await (const batch of disk.extents(from, await disk.sizeBytes())) {
    const changes: DiskChange[] = [];
    for (const { start, length: all, kind, depth } of batch) {
      const length = kind === 'unallocated' ? Math.min(all, zerosFrom - start) : all;
      if (depth >= layers || length <= 0) continue;
      // A layer above that ends before shows zeros, whatever the target has.
      const isData = kind === 'data' || kind === 'compressed';
      changes.push({ at: start, length, kind: isData ? 'data' : 'zero' });
    }
    if (changes.length > 0) yield changes;
  }
}

async function grow(
  device: BlockDevice,
  diskSizeBytes: number,
  { disk: how, signal }: CommitOptions,
): Promise<void> {
  await editWithinRoom(
    device,
    async (opening) => {
      const image = await openImage(device, opening);
      const disk = await openGuestDisk(image, how);
      try {
        const [below] = disk.chain;
        const backing = below && { backingSizeBytes: await below.sizeBytes() };
        const plan = await planResize(image, { diskSizeBytes, ...backing, disk }, { signal });
        return { plan };
      } finally {
        await disk.close();
      }
    },
    async ({ plan }) => {
      await executePlan(plan, { signal });
      await completeHeader(device, plan);
    },
  );
}
