import type { TableFormat } from '../l1l2/entry.js';
import { ClusterSet } from '../refcount/cluster-set.js';

/** Clusters behind the end of the file that a repair may need, beyond as many as the file has. */
const SPARE_CLUSTERS = 2 ** 20;

/**
 * What a repair can't know of an image: what entries mean that can't be read and are not mended.
 * Clusters that look leaked may belong to them, and the places behind the end of the file that they
 * name must not become somebody else's.
 */
export class Unknowns {
  #ownersUnknown: boolean;
  #avoidedClusters = 0;
  readonly #fileClusters: number;
  readonly #clusterBytes: number;
  /** By the number of clusters behind the end. */
  readonly #avoided: ClusterSet;

  /** @param ownersUnknown whether something is known beforehand to be unreadable. */
  constructor(ownersUnknown: boolean, { fileClusters, geometry }: TableFormat) {
    this.#ownersUnknown = ownersUnknown;
    this.#fileClusters = fileClusters;
    this.#clusterBytes = geometry.clusterBytes;
    this.#avoided = new ClusterSet(fileClusters + SPARE_CLUSTERS);
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
    const first = Math.max(Math.floor(at / this.#clusterBytes), this.#fileClusters);
    const last = Math.floor((at + bytes - 1) / this.#clusterBytes);
    const end = Math.min(last + 1, this.#fileClusters + this.#avoided.clusters);
    for (let cluster = first; cluster < end; cluster++) {
      const behind = cluster - this.#fileClusters;
      if (!this.#avoided.has(behind)) this.#avoidedClusters += 1;
      this.#avoided.add(behind);
    }
  }

  /** How many clusters have to be covered behind the end of the file so that `needed` are free. */
  clustersToCover(needed: number): number {
    return Math.min(needed + this.#avoidedClusters, this.#avoided.clusters);
  }

  /** Adds every cluster from the end of the file on that nothing names to `free`. */
  addFree(free: ClusterSet): void {
    free.addRange(this.#fileClusters, free.clusters);
    const end = free.clusters - this.#fileClusters;
    for (let i = this.#avoided.next(0); i < end; i = this.#avoided.next(i + 1)) {
      free.delete(this.#fileClusters + i);
    }
  }
}
