import { HIGH_WORD, bytesOfWords } from '../../base/words.js';
import type { Geometry } from '../../qcow2/geometry.js';
import type { Ledger } from './ledger.js';

/** Where refcounts lie before an edit. */
export interface RefcountPlaces {
  readonly table: { readonly at: number; readonly clusters: number };
  /** Host offsets of refcount blocks by index; 0 where none is. */
  readonly blocks: Float64Array;
}

/**
 * Places a new copy of every refcount block in which a count changed, and the table that points at them. Placing a
 * copy and releasing the old block change counts, too, perhaps in another block. So this is repeated until no new
 * block is touched. It ends, since every round takes at least one block more.
 *
 * @returns where the new table lies.
 */
export function placeRefcounts(
  geometry: Geometry,
  before: RefcountPlaces,
  ledger: Ledger,
): RefcountPlaces['table'] {
  const { clusterBytes, refcountBlockEntries, refcountBits } = geometry;
  const { table: old, blocks: refcountBlocks } = before;
  const tableClusters = Math.max(
    old.clusters,
    Math.ceil((ledger.counts.touched.length * 8) / clusterBytes),
  );
  const tableAt = ledger.takeRun(tableClusters * clusterBytes);
  ledger.release(old.at, old.clusters * clusterBytes);

  const newPlaces = new Map<number, number>();
  for (let isDone = false; !isDone;) {
    isDone = true;
    for (let block = 0; block < ledger.counts.touched.length; block++) {
      if (ledger.counts.touched[block] === 0 || newPlaces.has(block)) continue;
      newPlaces.set(block, ledger.takeTables(1)[0]!);
      const oldPlace = refcountBlocks[block] ?? 0;
      if (oldPlace !== 0) ledger.release(oldPlace, clusterBytes);
      isDone = false;
    }
  }

  const words = new Uint32Array((tableClusters * clusterBytes) / 4);
  const entries = words.length / 2;
  for (let block = 0; block < entries; block++) {
    const at = newPlaces.get(block) ?? refcountBlocks[block] ?? 0;
    words[2 * block] = Math.floor(at / HIGH_WORD);
    words[2 * block + 1] = at % HIGH_WORD;
  }
  const byPlace = [...newPlaces].sort(([, a], [, b]) => a - b);
  ledger.add({
    kind: 'tables',
    what: 'refcount blocks',
    tableBytes: clusterBytes,
    targets: Float64Array.from(byPlace, ([, at]) => at),
    sources: undefined,
    content: {
      kind: 'refcounts',
      counts: ledger.counts,
      refcountBits,
      firstClusters: Float64Array.from(byPlace, ([block]) => block * refcountBlockEntries),
    },
  });
  ledger.add({ kind: 'literal', what: 'refcount table', at: tableAt, bytes: bytesOfWords(words) });
  return { at: tableAt, clusters: tableClusters };
}
