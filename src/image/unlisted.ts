import { roundUp } from '../base/units.js';
import type { BlockSource } from '../io/device.js';
import type { Snapshot, SnapshotTableContext } from '../qcow2/snapshot-table.js';
import { readSnapshotTableLeniently } from '../qcow2/snapshot-table-lenient.js';
import { decodeRefcounts } from '../refcount/block.js';
import type { Counts } from '../refcount/counts.js';
import type { Header } from '../qcow2/header.js';
import type { OpenImage } from './image.js';

/** A table has no more than a few entries behind it in the room of one cluster. */
const ENTRIES_MAX = 64;

/**
 * What looks like more entries right behind the end of a snapshot table, in the rest of its last
 * cluster. Programs leave old bytes there; and a count in the header that is too low leaves
 * snapshots there.
 *
 * @param listedBytes length of the table as far as it is listed.
 */
export async function readBehindTable(
  source: BlockSource,
  { snapshotTable, geometry, diskSizeBytes }: Header,
  listedBytes: number,
  fileSizeBytes: number,
): Promise<readonly Snapshot[]> {
  const { clusterBytes } = geometry;
  const at = snapshotTable.at + roundUp(listedBytes, 8);
  const end = snapshotTable.at + roundUp(Math.max(listedBytes, 1), clusterBytes);
  if (snapshotTable.at === 0 || at >= Math.min(end, fileSizeBytes)) return [];
  const bytes = new Uint8Array(end - at);
  await source.readBatch([{ at, into: bytes }]);
  const found = plausibleEntries(bytes, { at, diskSizeBytes, clusterBytes, fileSizeBytes });
  return found.map((one) => ({ ...one, index: snapshotTable.count + one.index }));
}

/** What looks like entries of a snapshot table at the beginning of some bytes, up to the first that does not. */
export function plausibleEntries(
  bytes: Uint8Array,
  where: Omit<SnapshotTableContext, 'count'>,
): readonly Snapshot[] {
  const found: Snapshot[] = [];
  while (found.length < ENTRIES_MAX) {
    const read = readSnapshotTableLeniently(bytes, { ...where, count: found.length + 1 });
    if (!('snapshots' in read) || read.stop !== undefined || read.faults.length > 0) break;
    const snapshot = read.snapshots.at(-1)!;
    if (!isPlausible(snapshot, where.fileSizeBytes)) break;
    found.push(snapshot);
  }
  return found;
}

function isPlausible({ l1, idBytes }: Snapshot, fileSizeBytes: number): boolean {
  const isInFile = l1.at > 0 && l1.at + l1.entries * 8 <= fileSizeBytes;
  return isInFile && l1.entries > 0 && idBytes.length > 0;
}

/**
 * Those of them whose L1 tables are in use and belong to nobody: the snapshots may be whole, and what
 * only they hold looks leaked.
 *
 * @param references by cluster, of all that is listed.
 * @param blocks host offsets of the refcount blocks by index, 0 for none.
 */
export async function unlistedSnapshots(
  image: OpenImage,
  behindTable: readonly Snapshot[],
  references: Counts,
  blocks: Float64Array,
): Promise<readonly Snapshot[]> {
  const unlisted: Snapshot[] = [];
  for (const snapshot of behindTable) {
    if (await isLeaked(snapshot, image, references, blocks)) unlisted.push(snapshot);
  }
  return unlisted;
}

async function isLeaked(
  { l1 }: Snapshot,
  { source, geometry }: OpenImage,
  references: Counts,
  blocks: Float64Array,
): Promise<boolean> {
  const { clusterBytes, refcountBlockEntries, refcountBits } = geometry;
  const first = Math.floor(l1.at / clusterBytes);
  const last = Math.floor((l1.at + l1.entries * 8 - 1) / clusterBytes);
  const stored = new Uint32Array(refcountBlockEntries);
  let loaded = -1;
  for (let cluster = first; cluster <= last; cluster++) {
    if (cluster >= references.clusters || references.get(cluster) !== 0) return false;
    const block = Math.floor(cluster / refcountBlockEntries);
    const blockAt = blocks[block] ?? 0;
    if (blockAt === 0) return false;
    if (block !== loaded) {
      const bytes = new Uint8Array(clusterBytes);
      await source.readBatch([{ at: blockAt, into: bytes }]);
      decodeRefcounts(bytes, refcountBits, stored);
      loaded = block;
    }
    if (stored[cluster % refcountBlockEntries] === 0) return false;
  }
  return true;
}
