import { NO_DISKS, type DiskNumber } from '../../refs/disk-sets.js';
import { disksOf } from '../../refs/walk.js';
import { diskOfPart } from './parts.js';
import { l1Bytes } from './l1-bytes.js';
import type { ImageUsage } from './usage.js';

/** Disks in a row, both ends included. */
export type DiskRun = readonly [first: DiskNumber, last: DiskNumber];

/** Bytes of the image file that become free once all of these disks are gone. */
export interface HeldBytes {
  /** Ascending runs with gaps between them. */
  readonly disks: readonly DiskRun[];
  readonly bytes: number;
}

/**
 * What the disks of an image hold, alone and together: guest data, VM state, L1 and L2 tables. What deleting any set of
 * snapshots frees is the sum over the entries whose disks are all among them; besides, the snapshot table becomes
 * shorter (`snapshotEntryBytes`). So a program that keeps these entries needs the image no more to foretell a delete.
 *
 * The same disks may come several times.
 *
 * ```ts
 * const usage = await measureUsage(await openImage(device));
 * for (const { disks, bytes } of heldTogether(usage)) console.log(disks, 'hold', bytes, 'bytes');
 * ```
 */
export function* heldTogether({
  sharing,
}: Pick<ImageUsage, 'sharing'>): Generator<HeldBytes, void, undefined> {
  const { image, parts, data, tables } = sharing;
  for (let set = NO_DISKS + 1; set < parts.size; set++) {
    const bytes = (data[set] ?? 0) + (tables[set] ?? 0);
    if (bytes > 0) yield { disks: runsOf(parts.disksOf(set).map(diskOfPart)), bytes };
  }
  for (const { number, l1, snapshot } of disksOf(image)) {
    const bytes = l1Bytes(image.geometry, l1.entries);
    if (snapshot !== undefined && bytes > 0) yield { disks: [[number, number]], bytes };
  }
}

/** The runs of ascending numbers; the same one may come twice. */
function runsOf(disks: readonly DiskNumber[]): readonly DiskRun[] {
  const runs: [DiskNumber, DiskNumber][] = [];
  for (const disk of disks) {
    const last = runs.at(-1);
    if (last !== undefined && disk <= last[1] + 1) last[1] = disk;
    else runs.push([disk, disk]);
  }
  return runs;
}
