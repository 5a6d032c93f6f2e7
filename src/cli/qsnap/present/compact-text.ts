import { printableText } from '../../../internal.js';
import { countText, sizeText } from '../../text.js';
import type { Compacted } from './compacted.js';

/** What is said when a compaction is done. */
export function compactLines({ path, output, report }: Compacted): readonly string[] {
  const { oldFileSizeBytes, newFileSizeBytes, zeroClusters, dedupedClusters } = report;
  const { compressedClusters, packedBytes } = report;
  const disks = countText(report.disks.length, 'disk');
  const vmStates = report.disks.filter(({ vmStateBytes }) => vmStateBytes > 0).length;
  const all = vmStates === 0 ? disks : `${disks} and ${countText(vmStates, 'VM state')}`;
  const compressed = `${countText(compressedClusters, 'cluster')}, in ${sizeText(packedBytes)}`;
  return [
    `Wrote ${all} of ${printableText(path)} to ${printableText(output)}: ` +
      `${sizeText(oldFileSizeBytes)} became ${sizeText(newFileSizeBytes)}.`,
    ...(zeroClusters > 0 ? [`  left out: ${countText(zeroClusters, 'cluster')} of zeros`] : []),
    ...(dedupedClusters > 0 ? [`  equal to others: ${countText(dedupedClusters, 'cluster')}`] : []),
    ...(compressedClusters > 0 ? [`  compressed: ${compressed}`] : []),
    '  all compared byte by byte, and the new image checked',
  ];
}
