import type { CompactDisk } from '../../../index.js';
import type { Compacted } from './compacted.js';

/** What a compaction did. docs/schema/compact.json. */
export function compactJson(compacted: Compacted): Record<string, unknown> {
  const { path, output, image, report, oldAllocatedBytes, newAllocatedBytes } = compacted;
  return {
    filename: path,
    operation: 'compact',
    output,
    'file-size': report.oldFileSizeBytes,
    ...(oldAllocatedBytes !== undefined && { 'actual-size': oldAllocatedBytes }),
    'output-size': report.newFileSizeBytes,
    ...(newAllocatedBytes !== undefined && { 'output-actual-size': newAllocatedBytes }),
    'read-bytes': report.readBytes,
    'data-bytes': report.dataBytes,
    'zero-clusters': report.zeroClusters,
    'deduped-clusters': report.dedupedClusters,
    'compressed-clusters': report.compressedClusters,
    'packed-bytes': report.packedBytes,
    'bitmaps-left-out': report.bitmapsLeftOut,
    'snapshots-left-out': image.snapshots.length - report.disks.length + 1,
    disks: report.disks.map(diskJson),
  };
}

function diskJson(disk: CompactDisk): Record<string, unknown> {
  const { snapshot, diskSizeBytes, vmStateBytes } = disk;
  return {
    disk: snapshot === undefined ? 'active' : 'snapshot',
    ...(snapshot !== undefined && { 'snapshot-id': snapshot.id, 'snapshot-name': snapshot.name }),
    'disk-size': diskSizeBytes,
    ...(vmStateBytes > 0 && { 'vm-state-size': vmStateBytes }),
  };
}
