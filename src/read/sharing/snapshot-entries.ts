import { clustersToHold } from '../../base/units.js';
import type { OpenImage } from '../../image/image.js';
import { conformingEntry, encodeSnapshotTable } from '../../qcow2/snapshot-table.js';

/**
 * Bytes of each snapshot's entry in the table that an edit writes, in the order of the snapshot table.
 *
 * ```ts
 * const image = await openImage(device);
 * const bytes = snapshotEntryBytes(image).reduce((sum, one) => sum + one, 0);
 * console.log('the table takes', Math.ceil(bytes / image.geometry.clusterBytes), 'clusters');
 * ```
 */
export function snapshotEntryBytes({
  snapshots,
  header,
}: Pick<OpenImage, 'snapshots' | 'header'>): readonly number[] {
  return snapshots.map((one) => encodeSnapshotTable([conformingEntry(one, header.version)]).length);
}

/** What the snapshot table of an image takes. */
export interface SnapshotTableSize {
  /** As it is now, in bytes. */
  readonly snapshotTableBytes: number;
  readonly clusterBytes: number;
  /** Of each snapshot, as `snapshotEntryBytes` tells. */
  readonly entryBytes: readonly number[];
}

/**
 * Bytes that the snapshot table gives back, in whole clusters, when snapshots go.
 *
 * ```ts
 * const image = await openImage(device);
 * const { snapshotTableBytes, geometry } = image;
 * const entryBytes = snapshotEntryBytes(image);
 * const size = { snapshotTableBytes, clusterBytes: geometry.clusterBytes, entryBytes };
 * console.log(shortenedBytes(size, [0, 1]));
 * ```
 *
 * @param gone positions in the snapshot table, each once.
 */
export function shortenedBytes(
  { snapshotTableBytes, clusterBytes, entryBytes }: SnapshotTableSize,
  gone: Iterable<number>,
): number {
  let left = entryBytes.reduce((sum, size) => sum + size, 0);
  for (const index of gone) left -= entryBytes[index]!;
  const clusters =
    clustersToHold(snapshotTableBytes, clusterBytes) - clustersToHold(left, clusterBytes);
  return clusters * clusterBytes;
}
