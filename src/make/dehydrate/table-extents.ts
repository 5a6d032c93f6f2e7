import { ClusterSet } from '../../refcount/cluster-set.js';

/** Bytes of structures of one kind, as parts of clusters that begin where the cluster does. */
export class TableExtents {
  readonly #clusterBytes: number;
  readonly #clusters: ClusterSet;
  /** Clusters that are not taken as a whole, with the bytes that are. */
  readonly #parts = new Map<number, number>();
  readonly #whole: ClusterSet;

  /** @param clusters of the file: nothing behind them is added. */
  constructor(clusters: number, clusterBytes: number) {
    this.#clusterBytes = clusterBytes;
    this.#clusters = new ClusterSet(clusters);
    this.#whole = new ClusterSet(clusters);
  }

  /** Adds bytes from the start of a cluster on. */
  add(at: number, bytes: number): void {
    const first = at / this.#clusterBytes;
    const { clusters } = this.#clusters;
    if (first >= clusters) return;
    const end = first + Math.floor(bytes / this.#clusterBytes);
    this.#whole.addRange(first, Math.min(end, clusters));
    this.#clusters.addRange(first, Math.min(end, clusters));
    const rest = bytes % this.#clusterBytes;
    if (rest === 0 || end >= clusters) return;
    this.#clusters.add(end);
    this.#parts.set(end, Math.max(rest, this.#parts.get(end) ?? 0));
  }

  has(cluster: number): boolean {
    return this.#clusters.has(cluster);
  }

  /** The clusters, ascending, with the bytes that are taken of each. */
  *pieces(): Generator<readonly [cluster: number, bytes: number]> {
    const all = this.#clusters;
    for (let at = all.next(0); at < all.clusters; at = all.next(at + 1)) {
      yield [at, this.#whole.has(at) ? this.#clusterBytes : this.#parts.get(at)!];
    }
  }
}
