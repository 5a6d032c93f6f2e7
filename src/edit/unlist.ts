import { clustersToHold } from '../base/units.js';
import { storedWords } from '../base/words.js';
import type { Image } from '../image/image.js';
import { encodeSnapshotTable } from '../qcow2/snapshot-table.js';
import { BlockGroups } from '../refcount/block-groups.js';
import type { LiteralWrite, ShadowWrite } from '../tx/plan.js';
import { noRoom, OutOfClusters, type Ledger } from './ledger.js';
import type { NextState } from './next-state.js';
import { placeLiteral } from './place.js';
import type { Survey } from './survey.js';

/** A shorter snapshot list, and what has to be on the medium before the header leads to it. */
export interface Unlisting {
  readonly table: { readonly at: number; readonly count: number };
  readonly prepare: readonly ShadowWrite[];
  /** What is done once the header has the new list: no entry stays behind the last one that counts. */
  readonly tidy: readonly ShadowWrite[];
  /** Clusters that only the old table had. */
  readonly vacated: readonly number[];
}

/**
 * Finds the new snapshot table. None is needed where no snapshot stays, and where those that stay are the
 * first ones of the list the table is right as it lies: it counts fewer. Otherwise it is written to free
 * clusters, which count as used before anything leads to them.
 *
 * @param ledger has the refcounts as they are stored.
 * @throws QsnapError NO_SPACE where there is no room for the table.
 */
export function unlist(from: Survey, next: NextState, ledger: Ledger): Unlisting {
  const { image } = from;
  const { header, snapshotTableBytes, geometry } = image;
  const entries = next.snapshots.map(({ entry, l1 }) => ({ ...entry, l1: keptRef(l1) }));
  const isPrefix = next.snapshots.every(({ l1 }, i) => l1.kind === 'kept' && l1.index === i);
  const bytes = encodeSnapshotTable(isPrefix ? image.snapshots.slice(0, entries.length) : entries);
  const first = header.snapshotTable.at / geometry.clusterBytes;
  const old = clustersToHold(snapshotTableBytes, geometry.clusterBytes);
  const staying = isPrefix ? clustersToHold(bytes.length, geometry.clusterBytes) : 0;
  const vacated = Array.from({ length: old - staying }, (_, i) => first + staying + i);
  if (isPrefix) {
    const at = entries.length === 0 ? 0 : header.snapshotTable.at;
    // Not to the end of the cluster: behind the old table the file may have a hole, and the disk no room.
    const end = Math.min(snapshotTableBytes, staying * geometry.clusterBytes);
    const padded = new Uint8Array(end);
    padded.set(bytes);
    const tidy = staying === 0 ? [] : [literal('snapshot table', at, padded)];
    return { table: { at, count: entries.length }, prepare: [], tidy, vacated };
  }
  const table = placeTable(bytes, from, ledger);
  const refcounts = blocksNow(from, ledger);
  return {
    table: { at: table.at, count: entries.length },
    prepare: [table, ...refcounts],
    tidy: [],
    vacated,
  };
}

function literal(what: string, at: number, bytes: Uint8Array): LiteralWrite {
  return { kind: 'literal', what, at, bytes };
}

function keptRef(l1: NextState['snapshots'][number]['l1']): Image['snapshots'][number]['l1'] {
  if (l1.kind === 'kept') return l1.ref;
  throw new TypeError('a shorter list has no new snapshots');
}

function placeTable(
  bytes: Uint8Array,
  from: Survey,
  ledger: Ledger,
): ReturnType<typeof placeLiteral> {
  const { clusterBytes } = from.image.geometry;
  try {
    const table = placeLiteral('snapshot table', bytes, from, ledger);
    // A table behind all that the refcount blocks cover would need a block of its own.
    if (touchedBlocks(from, ledger).every(({ at }) => at !== 0)) return table;
  } catch (error) {
    if (!(error instanceof OutOfClusters)) throw error;
  }
  throw noRoom(clustersToHold(bytes.length, clusterBytes) * clusterBytes);
}

/** The refcount blocks in which a count changed, and where they lie; 0: nowhere. */
export function touchedBlocks(
  from: Survey,
  { counts }: Ledger,
): readonly { readonly block: number; readonly at: number }[] {
  return Array.from(counts.touched.keys())
    .filter((block) => counts.touched[block] === 1)
    .map((block) => ({ block, at: from.refcountBlocks[block] ?? 0 }))
    .sort((a, b) => a.at - b.at);
}

/** The touched blocks as bytes, by the counts as they are now. */
function blocksNow(from: Survey, ledger: Ledger): readonly ShadowWrite[] {
  const { clusterBytes, refcountBlockEntries, refcountBits } = from.image.geometry;
  const groups = new BlockGroups(refcountBits);
  return touchedBlocks(from, ledger).map(({ block, at }) => {
    const bytes = new Uint8Array(clusterBytes);
    groups.encodeBlock(ledger.counts, (block * refcountBlockEntries) / 32, storedWords(bytes));
    return literal('refcount block', at, bytes);
  });
}
