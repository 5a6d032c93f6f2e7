import type { CheckedImage } from '../../image/open-for-check.js';
import type { TableFormat } from '../../l1l2/entry.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import type { EmptiedL1, RepairChoice } from './choice.js';

/** Clusters behind the end of the file that a repair may need, beyond as many as the file has. */
const SPARE_CLUSTERS = 2 ** 20;
/** With more clusters than this in `#spared`, none of them is left out: a file may have lost terabytes. */
const SPARED_MAX = 2 ** 16;

/**
 * What a repair can't know: the meaning of entries that can't be read and that it does not mend. Clusters that look
 * leaked may belong to such entries. They may also name places behind the end of the file, and no new table may go
 * there.
 */
export class Unknowns {
  #ownersUnknown: boolean;
  readonly #fileClusters: number;
  readonly #clusterBytes: number;
  /** Both by the number of clusters behind the end. */
  readonly #avoided: CountedSet;
  readonly #spared: CountedSet;

  /** @param ownersUnknown whether something is known beforehand to be unreadable. */
  constructor(ownersUnknown: boolean, { fileClusters, geometry }: TableFormat) {
    this.#ownersUnknown = ownersUnknown;
    this.#fileClusters = fileClusters;
    this.#clusterBytes = geometry.clusterBytes;
    this.#avoided = new CountedSet(fileClusters + SPARE_CLUSTERS);
    this.#spared = new CountedSet(fileClusters + SPARE_CLUSTERS);
  }

  /** Whether a cluster that nothing refers to may have an owner all the same. */
  get ownersUnknown(): boolean {
    return this.#ownersUnknown;
  }

  /** Something that may have owned clusters can't be read. */
  addOwner(): void {
    this.#ownersUnknown = true;
  }

  /** An entry that stays names `bytes` bytes from host offset `at`, and can't mean them. */
  unreadable(at: number, bytes: number): void {
    this.addOwner();
    this.avoid(at, bytes);
  }

  /** These bytes are named by something that stays as it is. */
  avoid(at: number, bytes: number): void {
    this.#addBehind(this.#avoided, at, bytes);
  }

  /**
   * These bytes are named by an entry that the repair mends. Up to the switch the image still names them, so a
   * power cut before it could let the entry lead to a new table. New tables avoid them, unless there are very many.
   */
  spare(at: number, bytes: number): void {
    this.#addBehind(this.#spared, at, bytes);
  }

  #addBehind(set: CountedSet, at: number, bytes: number): void {
    const first = Math.max(Math.floor(at / this.#clusterBytes), this.#fileClusters);
    const last = Math.floor((at + bytes - 1) / this.#clusterBytes);
    const end = Math.min(last + 1, this.#fileClusters + set.clusters.clusters);
    for (let cluster = first; cluster < end; cluster++) set.add(cluster - this.#fileClusters);
  }

  /**
   * The first cluster between the end of the file and `end` that an entry names which the repair leaves. If the
   * file grew over that cluster, it would read as zeros, as if a guest had written them. Undefined: none.
   */
  firstCovered(end: number): number | undefined {
    const first = this.#avoided.clusters.next(0) + this.#fileClusters;
    return first < end ? first : undefined;
  }

  /** Clusters behind the end of the file that no new table may use. */
  get #leftOut(): readonly CountedSet[] {
    return this.#spared.size > SPARED_MAX ? [this.#avoided] : [this.#avoided, this.#spared];
  }

  /** How many clusters behind the end of the file the counts must cover so that `needed` of them are free. */
  clustersToCover(needed: number): number {
    const leftOut = this.#leftOut.reduce((sum, { size }) => sum + size, 0);
    return Math.min(needed + leftOut, this.#avoided.clusters.clusters);
  }

  /**
   * Adds the clusters from the end of the file on that nothing names to `free`, as far as that is known:
   * a block of refcounts may cover more.
   */
  addFree(free: ClusterSet): void {
    const end = Math.min(free.clusters - this.#fileClusters, this.#avoided.clusters.clusters);
    free.addRange(this.#fileClusters, this.#fileClusters + end);
    for (const { clusters } of this.#leftOut) {
      for (let i = clusters.next(0); i < end; i = clusters.next(i + 1)) {
        free.delete(this.#fileClusters + i);
      }
    }
  }
}

class CountedSet {
  readonly clusters: ClusterSet;
  size = 0;

  constructor(clusters: number) {
    this.clusters = new ClusterSet(clusters);
  }

  add(cluster: number): void {
    if (!this.clusters.has(cluster)) this.size += 1;
    this.clusters.add(cluster);
  }
}

/** Whether clusters may have owners that no table of this image leads to. */
export function hasUnknownOwners(
  { image, table, bitmapsMissing }: CheckedImage,
  choice: RepairChoice,
): boolean {
  const dropped = new Set<EmptiedL1>([...(choice.dropSnapshots ?? []), ...(choice.emptyL1s ?? [])]);
  const lostL1 = table.faults.some(
    ({ index, field }) => field.startsWith('l1-') && !dropped.has(index),
  );
  return lostL1 || bitmapsMissing || image.extensions.some(({ kind }) => kind === 'unknown');
}
