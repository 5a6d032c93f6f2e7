/** A disk that answers some calls in another way. */
import type { GuestDisk } from '../../../index.js';

/** The same disk but for `changes`. */
export function diskWith(
  disk: GuestDisk,
  changes: Partial<Pick<GuestDisk, 'sizeBytes' | 'readBatch' | 'extents'>>,
): GuestDisk {
  return {
    label: disk.label,
    format: disk.format,
    clusterBytes: disk.clusterBytes,
    l2EntryBytes: disk.l2EntryBytes,
    encrypted: disk.encrypted,
    dataLabel: disk.dataLabel,
    externalData: disk.externalData,
    sources: disk.sources,
    chain: disk.chain,
    sizeBytes: () => disk.sizeBytes(),
    readBatch: (requests) => disk.readBatch(requests),
    extents: (from, to) => disk.extents(from, to),
    close: () => disk.close(),
    ...changes,
  };
}
