import { roundUp } from '../../base/units.js';
import { headerSlack } from '../../image/header-slack.js';
import type { ByteRange } from '../../io/device.js';
import type { RegionOwner } from '../../refs/regions.js';
import type { AuditedEdit } from '../plan/audit.js';

const TABLES: ReadonlySet<RegionOwner> = new Set(['snapshot-table', 'active-l1', 'inactive-l1']);

/**
 * What the header leaves of the first cluster, and what the snapshot table and the L1 tables leave of their last
 * clusters, ascending, as far as the file reaches. A cluster with a refcount above 1 is left out: the refcount says that
 * something else lies there.
 */
export function slackOf(edit: AuditedEdit): readonly ByteRange[] {
  const { image, regions, counts } = edit;
  const { clusterBytes } = image.geometry;
  const tables = regions
    .filter(({ owner }) => TABLES.has(owner))
    .map(({ at, bytes }) => between(at + bytes, roundUp(at + bytes, clusterBytes)));
  return [...headerSlack(image), ...tables]
    .map(({ at, length }) => between(at, Math.min(at + length, image.fileSizeBytes)))
    .filter(({ at, length }) => length > 0 && counts.get(Math.floor(at / clusterBytes)) === 1)
    .toSorted((a, b) => a.at - b.at);
}

const between = (at: number, end: number): ByteRange => ({ at, length: end - at });
