import { unreadJson } from '../unread.js';
import type { Dehydrated } from './dehydrated.js';

/** What was written of an image without its guest data. docs/schema/dehydrate.json. */
export function dehydratedJson(dehydrated: Dehydrated): Record<string, unknown> {
  const { path, output, image, allocatedBytes, operation, report } = dehydrated;
  return {
    filename: path,
    operation,
    output,
    'file-size': report.fileSizeBytes,
    ...(allocatedBytes !== undefined && { 'output-actual-size': allocatedBytes }),
    'metadata-bytes': report.metadataBytes,
    'data-bytes': report.dataBytes,
    'key-bytes': report.keyBytes,
    ...(operation === 'dehydrate'
      ? { 'replaced-names': report.replacedNames }
      : {
          'filled-bytes': report.filledBytes,
          'packed-clusters': report.packedClusters,
          'packed-left-out': report.packedLeftOut,
        }),
    'left-out': report.leftOut.map(({ reason, clusters, firstAt }) => {
      return { reason, clusters, 'first-offset': firstAt };
    }),
    'misaligned-tables': report.misalignedTables,
    ...unreadJson(image),
  };
}
