import { clustersToHold } from '../base/units.js';
import { QsnapError } from '../errors.js';
import type { TableFormat } from '../l1l2/entry.js';
import type { Geometry } from '../qcow2/geometry.js';
import { LIMITS } from '../qcow2/limits.js';
import type { Image } from './image.js';

/**
 * How this image's L1 and L2 tables are read.
 *
 * @throws QsnapError LIMIT_EXCEEDED for a file of more clusters than qsnap counts.
 */
export function tableFormat({ geometry, header, fileSizeBytes }: Image): TableFormat {
  return formatInFile(geometry, header.version, fileSizeBytes);
}

/**
 * How tables of this geometry are read in a file of this length.
 *
 * @throws QsnapError LIMIT_EXCEEDED for a file of more clusters than qsnap counts.
 */
export function formatInFile(
  geometry: Geometry,
  version: 2 | 3,
  fileSizeBytes: number,
): TableFormat {
  const fileClusters = clustersToHold(fileSizeBytes, geometry.clusterBytes);
  if (fileClusters > LIMITS.hostClustersMax.value) {
    throw new QsnapError('LIMIT_EXCEEDED', `the file has ${fileClusters} clusters`, {
      expected: `at most ${LIMITS.hostClustersMax.value}`,
    });
  }
  return { geometry, version, fileClusters };
}
