import { QsnapError } from '../../errors.js';
import type { Geometry } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';

const TABLE_ENTRY_BYTES = 8;
const FIRST_CAPACITY = 4096;

/** A refcount table: which cluster each block lies in, 0 for none. */
interface Table {
  readonly cluster: number;
  readonly clusters: number;
  readonly blocks: number[];
}

/**
 * Where QEMU puts things in a new image, cluster by cluster, so that an empty image has the same
 * bytes. Clusters are taken from the first free one on; a refcount block is made when the first of
 * its clusters is, and a table that is full moves behind everything. One byte of memory a cluster.
 * QEMU: block/qcow2-refcount.c, measured with 7.2.
 */
export class QemuPlacement {
  /** 1 for a cluster that is in use. */
  #used: Uint8Array = new Uint8Array(FIRST_CAPACITY);
  #firstFree = 0;
  #end = 0;
  #table: Table;
  /** Tables that were left, with what still stands in them. */
  readonly leftTables: Table[] = [];
  readonly #geometry: Geometry;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
    // The header, a refcount table of one cluster, and its first block.
    this.#table = { cluster: 1, clusters: 1, blocks: this.#emptyBlocks(1) };
    this.#table.blocks[0] = 2;
    this.take(3);
  }

  get table(): Table {
    return this.#table;
  }

  /** One past the highest cluster in use. */
  get end(): number {
    return this.#end;
  }

  /** The refcounts from `from` on, as far as `into` goes. */
  readCounts(from: number, into: Uint16Array): void {
    const there = this.#used.subarray(from, Math.min(from + into.length, this.#end));
    into.fill(0);
    into.set(there);
  }

  /** Clusters in a row, the first that are free. */
  take(clusters: number): number {
    for (;;) {
      const first = this.#nextFree(clusters);
      if (this.#count(first, clusters)) return first;
    }
  }

  /** As many of these clusters as are free, up to the first that is not. */
  takeAt(first: number, clusters: number): number {
    for (;;) {
      let free = 0;
      while (free < clusters && !this.#isUsed(first + free)) free += 1;
      if (free === 0 || this.#count(first, free)) return free;
    }
  }

  /**
   * Makes a refcount table and blocks, from a cluster behind which all is free, for themselves and
   * for so many clusters more.
   *
   * @returns the first cluster behind them.
   */
  takeRefcountArea(first: number, moreClusters: number): number {
    return this.#moveTable(first, moreClusters, true, undefined);
  }

  #emptyBlocks(tableClusters: number): number[] {
    const entries = (tableClusters * this.#geometry.clusterBytes) / TABLE_ENTRY_BYTES;
    return new Array<number>(entries).fill(0);
  }

  #isUsed(cluster: number): boolean {
    return cluster < this.#end && this.#used[cluster] === 1;
  }

  #nextFree(clusters: number): number {
    for (let inARow = 0; inARow < clusters;) {
      inARow = this.#isUsed(this.#firstFree) ? 0 : inARow + 1;
      this.#firstFree += 1;
    }
    return this.#firstFree - clusters;
  }

  /** False, and nothing is counted, when a block had to be made first: then places are chosen anew. */
  #count(first: number, clusters: number): boolean {
    const { refcountBlockEntries } = this.#geometry;
    for (let cluster = first; cluster < first + clusters;) {
      const block = Math.floor(cluster / refcountBlockEntries);
      if ((this.#table.blocks[block] ?? 0) === 0) {
        this.#makeBlock(block, cluster);
        this.#free(first, cluster - first);
        this.#firstFree = Math.min(this.#firstFree, first);
        return false;
      }
      const next = Math.min(first + clusters, (block + 1) * refcountBlockEntries);
      this.#mark(cluster, next - cluster);
      cluster = next;
    }
    return true;
  }

  #mark(first: number, clusters: number): void {
    const end = first + clusters;
    const { value: most } = LIMITS.hostClustersMax;
    if (end > most) {
      throw new QsnapError('LIMIT_EXCEEDED', `the file would have ${end} clusters`, {
        structure: 'host clusters',
        expected: `at most ${most}`,
        hint: 'larger clusters make a larger file possible',
      });
    }
    if (end > this.#used.length) {
      const larger = new Uint8Array(Math.min(most, Math.max(end, this.#used.length * 2)));
      larger.set(this.#used);
      this.#used = larger;
    }
    this.#used.fill(1, first, end);
    this.#end = Math.max(this.#end, end);
  }

  #free(first: number, clusters: number): void {
    if (clusters === 0) return;
    this.#used.fill(0, first, first + clusters);
    this.#firstFree = Math.min(this.#firstFree, first);
    while (this.#end > 0 && this.#used[this.#end - 1] === 0) this.#end -= 1;
  }

  /** A block counts itself where it can; else another one counts it. */
  #makeBlock(block: number, forCluster: number): void {
    const { refcountBlockEntries } = this.#geometry;
    const place = this.#nextFree(1);
    const countsItself = Math.floor(place / refcountBlockEntries) === block;
    if (countsItself) this.#mark(place, 1);
    else if (!this.#count(place, 1)) {
      // Another block was made in its stead; the caller looks again.
      return;
    }
    if (block < this.#table.blocks.length) {
      this.#table.blocks[block] = place;
      return;
    }
    const inUse = Math.max(forCluster + 1, place);
    const blocksInUse = Math.ceil(inUse / refcountBlockEntries);
    this.#moveTable(blocksInUse * refcountBlockEntries, 0, false, { block, place });
  }

  #moveTable(
    first: number,
    moreClusters: number,
    isExact: boolean,
    made: { readonly block: number; readonly place: number } | undefined,
  ): number {
    const { clusterBytes, refcountBlockEntries } = this.#geometry;
    const blocks = refcountClusters(first + moreClusters, this.#geometry, !isExact).blocks;
    const wanted = isExact ? blocks : blocks + Math.ceil(blocks / 2);
    const tableClusters = Math.ceil((wanted * TABLE_ENTRY_BYTES) / clusterBytes);
    if (tableClusters * clusterBytes > LIMITS.refcountTableBytesMax.value) {
      throw new QsnapError('LIMIT_EXCEEDED', `the refcount table would have ${wanted} entries`, {
        structure: 'refcount table',
        expected: `at most ${LIMITS.refcountTableBytesMax.value / TABLE_ENTRY_BYTES}`,
        hint: 'larger clusters or narrower refcounts make a larger file possible',
      });
    }
    const old = this.#table;
    const entries = this.#emptyBlocks(tableClusters);
    old.blocks.slice(0, entries.length).forEach((place, block) => (entries[block] = place));
    if (made !== undefined) entries[made.block] = made.place;
    let next = first;
    for (let block = Math.floor(first / refcountBlockEntries); block < blocks; block += 1) {
      if (entries[block] === 0) entries[block] = next++;
    }
    this.#table = { cluster: next, clusters: tableClusters, blocks: entries };
    this.#mark(first, next + tableClusters - first);
    this.leftTables.push(old);
    this.#free(old.cluster, old.clusters);
    return next + tableClusters;
  }
}

/**
 * How many clusters a refcount table and its blocks take that count themselves and others.
 *
 * @param isGenerous with room to grow by half a table.
 */
export function refcountClusters(
  others: number,
  geometry: Geometry,
  isGenerous = false,
): { readonly table: number; readonly blocks: number } {
  const { clusterBytes, refcountBlockEntries } = geometry;
  let clusters = others;
  let table = 0;
  let blocks = 0;
  let mayGrow = isGenerous;
  for (;;) {
    const before = table + blocks;
    blocks = Math.ceil((clusters + table + blocks) / refcountBlockEntries);
    table = Math.ceil((blocks * TABLE_ENTRY_BYTES) / clusterBytes);
    if (table + blocks !== before) continue;
    if (!mayGrow) return { table, blocks };
    clusters += Math.ceil(table / 2);
    mayGrow = false;
  }
}
