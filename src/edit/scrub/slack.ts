import { roundUp } from '../../base/units.js';
import type { Image } from '../../image/image.js';
import type { ByteRange } from '../../io/device.js';
import type { RegionOwner } from '../../refs/regions.js';
import type { AuditedEdit } from '../plan/audit.js';

/** Of a header extension: type and length. An end marker is that alone. Spec: Header extensions. */
const EXTENSION_HEAD_BYTES = 8;

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

/** The first cluster without header, extensions, their end marker and the name of the backing file. */
function headerSlack(image: Image): readonly ByteRange[] {
  const { clusterBytes } = image.geometry;
  const name = image.header.backingName;
  const end = extensionsEnd(image);
  if (name.bytes === 0) return [between(end, clusterBytes)];
  const nameEnd = name.at + name.bytes;
  return [between(end, name.at), between(Math.max(end, nameEnd), clusterBytes)];
}

/** Where the extensions end, behind the end marker. There is none where they fill their area. */
function extensionsEnd({ header, extensions, geometry }: Image): number {
  const last = extensions.at(-1);
  const end =
    last === undefined
      ? header.headerBytes
      : last.at + EXTENSION_HEAD_BYTES + roundUp(last.bytes.length, 8);
  const areaEnd = header.backingName.at === 0 ? geometry.clusterBytes : header.backingName.at;
  return end < areaEnd ? end + EXTENSION_HEAD_BYTES : end;
}

const between = (at: number, end: number): ByteRange => ({ at, length: end - at });
