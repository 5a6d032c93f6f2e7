import { ClusterSet } from '../../refcount/cluster-set.js';

/** Bytes of structures of one kind, as parts of clusters that begin where the cluster does. */
export class TableExtents {
  readonly #clusterBytes: number;
  readonly #clusters: number;
  /** Made when there is one: a file may claim many clusters and have none of a kind. */
  #whole: ClusterSet | undefined;
  /** Clusters that are not taken as a whole, with the bytes that are. */
  readonly #parts = new Map<number, number>();

  /** @param clusters of the file: nothing behind them is added. */
  constructor(clusters: number, clusterBytes: number) {
    this.#clusterBytes = clusterBytes;
    this.#clusters = clusters;
  }

  /** Adds bytes from the start of a cluster on. */
  add(at: number, bytes: number): void {
    const first = at / this.#clusterBytes;
    if (first >= this.#clusters) return;
    const end = first + Math.floor(bytes / this.#clusterBytes);
    this.#whole ??= new ClusterSet(this.#clusters);
    this.#whole.addRange(first, Math.min(end, this.#clusters));
    const rest = bytes % this.#clusterBytes;
    if (rest === 0 || end >= this.#clusters) return;
    this.#parts.set(end, Math.max(rest, this.#parts.get(end) ?? 0));
  }

  has(cluster: number): boolean {
    return this.#parts.has(cluster) || this.#whole?.has(cluster) === true;
  }

  /** The clusters, with the bytes that are taken of each: first those that are taken in part. */
  *pieces(): Generator<readonly [cluster: number, bytes: number]> {
    const whole = this.#whole;
    if (whole === undefined) return;
    for (const [cluster, bytes] of this.#parts) {
      if (!whole.has(cluster)) yield [cluster, bytes];
    }
    for (let at = whole.next(0); at < whole.clusters; at = whole.next(at + 1)) {
      yield [at, this.#clusterBytes];
    }
  }
}
