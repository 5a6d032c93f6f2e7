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
