import { clustersToHold } from '../../base/units.js';
import type { OpenImage } from '../../image/image.js';
import { encodeSnapshotTable } from '../../qcow2/snapshot-table.js';
import type { LiteralWrite, ShadowWrite } from '../tx/plan.js';
import type { RefcountBlocks } from '../tables/table-content.js';
import { tableMaker } from '../tables/table-maker.js';
import { bytesOfZeros, literalsInPlace } from './in-place-writes.js';
import { noRoom, OutOfClusters, type Ledger } from './ledger.js';
import type { AuditedEdit } from './audit.js';
import type { NextState } from './next-state.js';

/** A shorter snapshot list, and what has to be on the medium before the header leads to it. */
export interface Unlisting {
  readonly table: { readonly at: number; readonly count: number };
  readonly prepare: readonly ShadowWrite[];
  /** What is done once the header has the new list: no entry stays behind the last one that counts. */
  readonly tidy: readonly ShadowWrite[];
  /** Clusters that only the old table had. */
  readonly released: readonly number[];
}

/** The snapshots that stay, as they are stored. */
export interface ListInBytes {
  /** Whether they are the first ones of the list, so that the table is right as it lies. */
  readonly isFirstPart: boolean;
  readonly entries: number;
  readonly bytes: Uint8Array;
}

export function shorterList({ image, next }: AuditedEdit): ListInBytes {
  const entries = next.snapshots.map(({ entry, l1 }) => ({ ...entry, l1: keptRef(l1) }));
  const isFirstPart = next.snapshots.every(({ l1 }, i) => l1.kind === 'kept' && l1.index === i);
  const stay = isFirstPart ? image.snapshots.slice(0, entries.length) : entries;
  return { isFirstPart, entries: entries.length, bytes: encodeSnapshotTable(stay) };
}

/**
 * Finds a place for the shorter snapshot table.
 *
 * - No snapshot stays: there is no table.
 * - The first snapshots of the list stay: the table stays where it is, and the header counts fewer entries.
 * - Otherwise: a new table goes to free clusters. Their refcounts are raised before the header leads to them.
 *
 * @param ledger has the refcounts as they are stored, and clusters that can be written to.
 * @param freeBytes what the medium has free.
 * @throws QsnapError NO_SPACE where there is no room for the table.
 */
export async function unlist(
  edit: AuditedEdit,
  { isFirstPart, entries, bytes }: ListInBytes,
  ledger: Ledger,
  freeBytes: number,
): Promise<Unlisting> {
  const { image } = edit;
  const { header, snapshotTableBytes, geometry } = image;
  const first = header.snapshotTable.at / geometry.clusterBytes;
  const old = clustersToHold(snapshotTableBytes, geometry.clusterBytes);
  const staying = isFirstPart ? clustersToHold(bytes.length, geometry.clusterBytes) : 0;
  const released = Array.from({ length: old - staying }, (_, i) => first + staying + i);
  if (isFirstPart) {
    const at = entries === 0 ? 0 : header.snapshotTable.at;
    // Not to the end of the cluster: behind the old table the file may have a hole, and the disk no room.
    const inside = Math.max(bytes.length, Math.min(snapshotTableBytes, image.fileSizeBytes - at));
    const padded = new Uint8Array(Math.min(inside, staying * geometry.clusterBytes));
    padded.set(bytes);
    const before = new Uint8Array(padded.length);
    if (staying > 0) await image.source.readBatch([{ at, into: before }]);
    const tidy = literalsInPlace('snapshot table', at, before, padded);
    return { table: { at, count: entries }, prepare: [], tidy, released };
  }
  const at = placeTable(bytes, edit, ledger);
  const refcounts = await blocksNow(edit, freeBytes);
  return {
    table: { at, count: entries },
    prepare: [...ledger.writes, ...refcounts],
    tidy: [],
    released,
  };
}

function keptRef(l1: NextState['snapshots'][number]['l1']): OpenImage['snapshots'][number]['l1'] {
  if (l1.kind === 'kept') return l1.ref;
  throw new TypeError('a shorter list has no new snapshots');
}

function placeTable(bytes: Uint8Array, edit: AuditedEdit, ledger: Ledger): number {
  const { clusterBytes } = edit.image.geometry;
  try {
    const table = ledger.placeBytes('snapshot table', bytes);
    // A table behind all that the refcount blocks cover would need a block of its own.
    if (touchedBlocks(edit).every(({ at }) => at !== 0)) return table;
  } catch (error) {
    if (!(error instanceof OutOfClusters)) throw error;
  }
  throw noRoom(clustersToHold(bytes.length, clusterBytes) * clusterBytes);
}

/** The refcount blocks in which a count changed, and where they lie; 0: nowhere. */
export function touchedBlocks({
  counts,
  refcountBlocks,
}: AuditedEdit): readonly { readonly block: number; readonly at: number }[] {
  return Array.from(counts.touched.keys())
    .filter((block) => counts.touched[block] === 1)
    .map((block) => ({ block, at: refcountBlocks[block] ?? 0 }))
    .sort((a, b) => a.at - b.at);
}

/** What changes in the touched blocks, by the counts as they are now. */
async function blocksNow(edit: AuditedEdit, freeBytes: number): Promise<readonly LiteralWrite[]> {
  const { clusterBytes } = edit.image.geometry;
  const blocks = touchedBlocks(edit);
  const stored = blocks.map(({ at }) => ({ at, into: new Uint8Array(clusterBytes) }));
  await edit.image.source.readBatch(stored);
  const make = tableMaker(blockContent(edit, blocks));
  let toFill = 0;
  const writes = blocks.flatMap(({ at }, index) => {
    const { into } = stored[index]!;
    const bytes = new Uint8Array(clusterBytes);
    make(index, bytes);
    toFill += bytesOfZeros(into, bytes);
    return literalsInPlace('refcount block', at, into, bytes);
  });
  if (toFill > freeBytes) throw noRoom(toFill - freeBytes);
  return writes;
}

/** What these blocks hold by the counts of the edit. */
export function blockContent(
  { image, counts }: AuditedEdit,
  blocks: readonly { readonly block: number }[],
): RefcountBlocks {
  const { refcountBits, refcountBlockEntries } = image.geometry;
  const firstClusters = Float64Array.from(blocks, ({ block }) => block * refcountBlockEntries);
  return { kind: 'refcounts', counts, refcountBits, firstClusters };
}
