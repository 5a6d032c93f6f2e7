import { assert } from '../../base/assert.js';
import { counted } from '../../base/text.js';
import { clustersToHold, roundUp } from '../../base/units.js';
import { bytesOfWords, hex } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import type { Image } from '../../image/image.js';
import type { L1Ref } from '../../qcow2/header.js';
import { Allocator } from '../../refcount/allocate.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import type { Counts } from '../../refcount/counts.js';
import type { ShadowWrite, TableWrites } from '../tx/plan.js';

/** No room among the clusters that the ledger covers; a larger ledger may have some. */
export class OutOfClusters extends Error {
  readonly clusters: number;
  constructor(clusters: number) {
    super(`no room for ${clusters} clusters`);
    this.clusters = clusters;
  }
}

/**
 * The refcounts on their way from the old state to the new one, and the writes that make the new one. Placing a table
 * counts up, releasing one counts down, and `counts.touched` has the refcount blocks that changed. All that an edit
 * writes to free clusters gets its place here.
 */
export class Ledger {
  readonly counts: Counts;
  /** Clusters that were free before the edit and still are. */
  readonly free: ClusterSet;
  readonly #allocator: Allocator;
  readonly #clusterBytes: number;
  readonly #refcountBits: number;
  readonly #writes: ShadowWrite[] = [];
  #freedMetadataClusters = 0;
  #isSealed = false;

  constructor(
    image: Image,
    counts: Counts,
    free: ClusterSet,
    fileClusters: number,
    growable: boolean,
  ) {
    const { clusterBytes, refcountBits } = image.geometry;
    this.counts = counts;
    this.free = free;
    // Tables are written as whole clusters: one in which the file ends would make it longer.
    const limit = growable ? counts.clusters : Math.floor(image.fileSizeBytes / clusterBytes);
    this.#allocator = new Allocator(free, fileClusters, limit);
    this.#clusterBytes = clusterBytes;
    this.#refcountBits = refcountBits;
  }

  /** No count changes from now on: what is written is made from them, later and more than once. */
  seal(): void {
    this.#isSealed = true;
  }

  get endCluster(): number {
    return this.#allocator.endCluster;
  }

  /** Metadata clusters that were in use and are free now. */
  get freedMetadataClusters(): number {
    return this.#freedMetadataClusters;
  }

  /** The writes, in the order in which they got their places. */
  get writes(): readonly ShadowWrite[] {
    return this.#writes;
  }

  /** Adds a write of which the places are known. */
  add(write: ShadowWrite): void {
    this.#writes.push(write);
  }

  /** Places bytes, padded with zeros to whole clusters, so that no old bytes stay behind. Returns the host offset. */
  placeBytes(what: string, bytes: Uint8Array): number {
    const padded = new Uint8Array(roundUp(bytes.length, this.#clusterBytes));
    padded.set(bytes);
    const at = this.takeRun(bytes.length);
    this.add({ kind: 'literal', what, at, bytes: padded });
    return at;
  }

  /** Places an L1 table, given in host order. */
  placeL1(what: string, words: Uint32Array): L1Ref {
    return { at: this.placeBytes(what, bytesOfWords(words)), entries: words.length / 2 };
  }

  /**
   * Places so many L2 tables, which are made when they are written.
   *
   * @returns where they go: host offsets, ascending.
   */
  placeL2Tables(count: number, made: Pick<TableWrites, 'sources' | 'content'>): Float64Array {
    const targets = this.takeTables(count);
    const tableBytes = this.#clusterBytes;
    if (count > 0) this.add({ kind: 'tables', what: 'L2 tables', tableBytes, targets, ...made });
    return targets;
  }

  /** Finds clusters of their own for `bytes`, in a row. Returns the host offset. */
  takeRun(bytes: number): number {
    const clusters = clustersToHold(bytes, this.#clusterBytes);
    const first = this.#allocator.takeRun(clusters);
    if (first === undefined) throw new OutOfClusters(clusters);
    for (let cluster = first; cluster < first + clusters; cluster++) this.change(cluster, 1);
    return first * this.#clusterBytes;
  }

  /**
   * Finds clusters for guest data, in a row past the end of the file, where all reads as zeros. The
   * references that tables will have to them are not counted here. Returns the host offset.
   */
  takeDataRun(clusters: number): number {
    const first = this.#allocator.takeRunPastEnd(clusters);
    if (first === undefined) throw new OutOfClusters(clusters);
    return first * this.#clusterBytes;
  }

  /**
   * Finds a cluster for each of so many pieces of guest data. The references that tables will have to them are not
   * counted here. Returns their host offsets, ascending.
   */
  takeDataClusters(count: number): Float64Array {
    const taken = count === 0 ? new Float64Array(0) : this.#allocator.takeScattered(count);
    if (taken === undefined) throw new OutOfClusters(count);
    return taken.map((cluster) => cluster * this.#clusterBytes);
  }

  /** Takes a free cluster; the references that tables will have to it are not counted here. */
  take(cluster: number): void {
    assert(this.free.has(cluster), 'a cluster that is taken is free');
    this.free.delete(cluster);
  }

  /** Finds a cluster for each of so many tables. Returns their host offsets, ascending. */
  takeTables(count: number): Float64Array {
    const taken = this.#allocator.takeScattered(count);
    if (taken === undefined) throw new OutOfClusters(count);
    for (const cluster of taken) this.change(cluster, 1);
    return taken.map((cluster) => cluster * this.#clusterBytes);
  }

  /** Takes one reference from every cluster of a metadata region. */
  release(at: number, bytes: number): void {
    const first = at / this.#clusterBytes;
    const end = first + clustersToHold(bytes, this.#clusterBytes);
    for (let cluster = first; cluster < end; cluster++) this.changeMetadata(cluster, -1);
  }

  /** Changes the count of a metadata cluster. */
  changeMetadata(cluster: number, by: number): void {
    this.change(cluster, by);
    if (by < 0 && this.counts.get(cluster) === 0) this.#freedMetadataClusters += 1;
  }

  /** @throws QsnapError REFCOUNT_OVERFLOW when the width can't hold the new count. */
  change(cluster: number, by: number): void {
    if (by === 0) return;
    assert(!this.#isSealed, 'a sealed ledger does not change');
    if (!this.counts.change(cluster, by)) {
      throw refcountOverflow(cluster * this.#clusterBytes, this.#refcountBits);
    }
  }
}

/** What to tell of a medium that has not got so much room. */
export function noRoom(bytesNeeded: number): QsnapError {
  return new QsnapError(
    'NO_SPACE',
    `the edit needs ${bytesNeeded} bytes more than the medium has free`,
    { bytesNeeded, imageState: 'unchanged' },
  );
}

/** What to tell of a refcount that is as high as its width allows. @param at host offset of the cluster. */
export function refcountOverflow(at: number, refcountBits: number): QsnapError {
  const max = 2n ** BigInt(refcountBits) - 1n;
  return new QsnapError(
    'REFCOUNT_OVERFLOW',
    `the host cluster at ${hex(at)} would be shared more often than refcounts of ` +
      `${counted(refcountBits, 'bit')} can count`,
    {
      structure: 'refcount block',
      at,
      expected: `at most ${max}`,
      hint: 'delete snapshots, or make the image anew with wider refcounts (refcount_bits)',
    },
  );
}
