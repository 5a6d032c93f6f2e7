import { assert } from '../../base/assert.js';
import { counted } from '../../base/text.js';
import { hex } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import { clustersToHold } from '../../base/units.js';
import type { Image } from '../../image/image.js';
import { Allocator } from '../../refcount/allocate.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import type { Counts } from '../../refcount/counts.js';

/** No room among the clusters that the ledger covers; a larger ledger may have some. */
export class OutOfClusters extends Error {
  readonly clusters: number;
  constructor(clusters: number) {
    super(`no room for ${clusters} clusters`);
    this.clusters = clusters;
  }
}

/**
 * The refcounts on their way from the old state to the new one. Placing a table counts up, releasing one counts
 * down, and `counts.touched` has the refcount blocks that changed.
 */
export class Ledger {
  readonly counts: Counts;
  /** Clusters that were free before the edit and still are. */
  readonly free: ClusterSet;
  readonly #allocator: Allocator;
  readonly #clusterBytes: number;
  readonly #refcountBits: number;
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

  /** Places `bytes` in clusters of their own, in a row. Returns the host offset. */
  placeRun(bytes: number): number {
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
  findDataRun(clusters: number): number {
    const first = this.#allocator.takeRunPastEnd(clusters);
    if (first === undefined) throw new OutOfClusters(clusters);
    return first * this.#clusterBytes;
  }

  /** Places tables of one cluster each. Returns their host offsets, ascending. */
  placeTables(count: number): Float64Array {
    const placed = this.#allocator.takeScattered(count);
    if (placed === undefined) throw new OutOfClusters(count);
    for (const cluster of placed) this.change(cluster, 1);
    return placed.map((cluster) => cluster * this.#clusterBytes);
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

/** What to tell of a medium that has not got so much room. */
export function noRoom(bytesNeeded: number): QsnapError {
  return new QsnapError(
    'NO_SPACE',
    `the edit needs ${bytesNeeded} bytes more than the medium has free`,
    { bytesNeeded, imageState: 'unchanged' },
  );
}
