import { NO_DISKS, type DiskSet, type DiskSets } from './disk-sets.js';

/**
 * Clusters whose owners are kept together: one number for all of them, or one for each. An L2 table names mostly many
 * times as many in a row, so that few chunks have more than one set.
 */
const CHUNK_CLUSTERS = 2 ** 9;

/** Host clusters in a row that the same disks have. */
export interface OwnedRange {
  /** The first host cluster. */
  readonly first: number;
  readonly length: number;
  readonly owners: DiskSet;
}

/**
 * Which disks have which host clusters. Neighbours mostly belong to the same disks, so that a stretch of clusters
 * takes one number; where they do not, a cluster takes 4 bytes.
 */
export class OwnerMap {
  readonly #disks: DiskSets;
  readonly #clusters: number;
  readonly #chunks: (DiskSet | Uint32Array)[];

  constructor(disks: DiskSets, clusters: number) {
    this.#disks = disks;
    this.#clusters = clusters;
    this.#chunks = new Array<DiskSet>(Math.ceil(clusters / CHUNK_CLUSTERS)).fill(NO_DISKS);
  }

  /** Adds owners to clusters in a row. What lies behind the last cluster of the map is left out. */
  add(first: number, length: number, owners: DiskSet): void {
    const end = Math.min(first + length, this.#clusters);
    for (let at = first; at < end;) {
      const index = Math.floor(at / CHUNK_CLUSTERS);
      const chunkAt = index * CHUNK_CLUSTERS;
      const to = Math.min(end, chunkAt + CHUNK_CLUSTERS);
      this.#addInChunk(index, at - chunkAt, to - chunkAt, owners);
      at = to;
    }
  }

  /** The disks that have a cluster. */
  of(cluster: number): DiskSet {
    const chunk = this.#chunks[Math.floor(cluster / CHUNK_CLUSTERS)] ?? NO_DISKS;
    return typeof chunk === 'number' ? chunk : chunk[cluster % CHUNK_CLUSTERS]!;
  }

  /** All clusters that any disk has, as ranges, ascending; neighbours with the same owners are one range. */
  *ranges(): Generator<OwnedRange> {
    let open: { first: number; length: number; owners: DiskSet } | undefined;
    for (const [first, end, owners] of this.#stretches()) {
      if (open?.owners === owners) {
        open.length += end - first;
        continue;
      }
      if (open !== undefined && open.owners !== NO_DISKS) yield open;
      open = { first, length: end - first, owners };
    }
    if (open !== undefined && open.owners !== NO_DISKS) yield open;
  }

  #addInChunk(index: number, from: number, to: number, owners: DiskSet): void {
    const chunk = this.#chunks[index]!;
    if (typeof chunk === 'number') {
      const union = this.#disks.union(chunk, owners);
      if (union === chunk) return;
      if (from === 0 && to === this.#length(index)) {
        this.#chunks[index] = union;
        return;
      }
      this.#chunks[index] = new Uint32Array(CHUNK_CLUSTERS).fill(chunk).fill(union, from, to);
      return;
    }
    let [was, is] = [owners, owners];
    for (let i = from; i < to; i++) {
      const now = chunk[i]!;
      if (now !== was) [was, is] = [now, this.#disks.union(now, owners)];
      chunk[i] = is;
    }
  }

  #length(index: number): number {
    return Math.min(CHUNK_CLUSTERS, this.#clusters - index * CHUNK_CLUSTERS);
  }

  *#stretches(): Generator<[first: number, end: number, owners: DiskSet]> {
    for (const [index, chunk] of this.#chunks.entries()) {
      const at = index * CHUNK_CLUSTERS;
      const length = this.#length(index);
      if (typeof chunk === 'number') {
        yield [at, at + length, chunk];
        continue;
      }
      for (let from = 0; from < length;) {
        const owners = chunk[from]!;
        let to = from + 1;
        while (to < length && chunk[to] === owners) to += 1;
        yield [at + from, at + to, owners];
        from = to;
      }
    }
  }
}
