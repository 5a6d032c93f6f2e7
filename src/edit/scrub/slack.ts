import { headerSlack } from '../../image/header-slack.js';
import type { ByteRange } from '../../io/device.js';
import { tableSlack } from '../../refs/regions.js';
import type { AuditedEdit } from '../plan/audit.js';

/**
 * What the header leaves of the first cluster, and what the snapshot table and the L1 tables leave of their last
 * clusters, ascending, as far as the file reaches. A cluster with a refcount above 1 is left out: the refcount says that
 * something else lies there.
 */
export function slackOf({ image, regions, counts }: AuditedEdit): readonly ByteRange[] {
  const { clusterBytes } = image.geometry;
  return [...headerSlack(image), ...tableSlack(regions, clusterBytes)]
    .map(({ at, length }) => ({ at, length: Math.min(length, image.fileSizeBytes - at) }))
    .filter(({ at, length }) => length > 0 && counts.get(Math.floor(at / clusterBytes)) === 1)
    .toSorted((a, b) => a.at - b.at);
}
