import type { Image, OpenImage } from '../image/image.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import { ACTIVE_DISK } from '../refs/disk-sets.js';
import { mapOwners } from '../refs/owners.js';

/** Bytes of the image file that hold guest data or VM state, and who has them. Whole clusters. */
export interface OwnedBytes {
  /** Byte offset in the image file. */
  readonly at: number;
  readonly length: number;
  /** Whether the active disk has them. */
  readonly active: boolean;
  /** The snapshots that have them, in the order of the table. */
  readonly snapshots: readonly Snapshot[];
}

/**
 * All bytes of guest data and VM state with their owners, by one walk over the tables.
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function ownedBytes(
  image: OpenImage,
  signal: AbortSignal | undefined,
): Promise<Iterable<OwnedBytes>> {
  const { pointers, data } = await mapOwners(image, { signal });
  return rangesIn(image, pointers.disks, data);
}

type Maps = Awaited<ReturnType<typeof mapOwners>>;

function* rangesIn(
  { snapshots, geometry }: Image,
  disks: Maps['pointers']['disks'],
  data: Maps['data'],
): Generator<OwnedBytes> {
  const { clusterBytes } = geometry;
  for (const { first, length, owners } of data.ranges()) {
    const numbers = disks.disksOf(owners);
    yield {
      at: first * clusterBytes,
      length: length * clusterBytes,
      active: numbers.includes(ACTIVE_DISK),
      snapshots: numbers.filter((number) => number !== ACTIVE_DISK).map((n) => snapshots[n - 1]!),
    };
  }
}
