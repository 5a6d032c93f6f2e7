import type { ClusterSet } from './cluster-set.js';

/** A run of free clusters shorter than this is left alone when many clusters are wanted. */
const SHORTEST_RUN = 8;

/**
 * Decides where new clusters go: into long runs of free clusters, else past the end of the file. It knows only the
 * clusters that were free before the edit, so that an edit never writes over what it frees. Clusters that it hands
 * out leave the set.
 */
export class Allocator {
  readonly #free: ClusterSet;
  readonly #limit: number;
  /** Where the search for single clusters goes on. */
  #cursor = 1;
  #end: number;

  /**
   * @param free clusters that may be used, those past the end of the file included.
   * @param fileClusters the cluster at which the file ends now.
   * @param limit clusters from here on can't be used: the medium or the free set ends.
   */
  constructor(free: ClusterSet, fileClusters: number, limit: number) {
    this.#free = free;
    this.#end = fileClusters;
    this.#limit = limit;
  }

  /** The cluster after the last one of the file once all that was placed is written. */
  get endCluster(): number {
    return this.#end;
  }

  /** Finds `count` clusters in a row, the first gap that holds them; undefined: no room. */
  takeRun(count: number): number | undefined {
    return this.#takeRunFrom(1, count);
  }

  /** Finds `count` clusters in a row past the end of the file; undefined: no room. */
  takeRunPastEnd(count: number): number | undefined {
    return this.#takeRunFrom(this.#end, count);
  }

  /** Finds `count` clusters, ascending, in runs that are worth a write of their own. */
  takeScattered(count: number): Float64Array | undefined {
    const worthwhile = this.#scatter(count, Math.min(SHORTEST_RUN, count), this.#cursor);
    // A medium that can't grow must do with what it has.
    return worthwhile ?? this.#scatter(count, 1, 1);
  }

  #takeRunFrom(start: number, count: number): number | undefined {
    let from = this.#free.next(start);
    while (from + count <= this.#limit) {
      const end = this.#free.nextMissing(from, from + count);
      if (end - from === count) {
        this.#take(from, end);
        return from;
      }
      from = this.#free.next(end);
    }
    return undefined;
  }

  #scatter(count: number, shortestRun: number, start: number): Float64Array | undefined {
    const placed = new Float64Array(count);
    const taken: [number, number][] = [];
    let done = 0;
    let from = this.#free.next(start);
    while (done < count) {
      if (from >= this.#limit) return undefined;
      // Behind the end of the file all is free, as far as one may look.
      const enough = Math.max(from + count - done, this.#end + 1);
      const runEnd = this.#free.nextMissing(from, Math.min(enough, this.#limit));
      const end = Math.min(runEnd, from + count - done);
      // The stretch that reaches past the end of the file is taken whatever its length.
      if (end - from >= Math.min(shortestRun, count - done) || runEnd > this.#end) {
        for (let cluster = from; cluster < end; cluster++) placed[done++] = cluster;
        taken.push([from, end]);
      }
      from = this.#free.next(end);
    }
    for (const [first, end] of taken) this.#take(first, end);
    this.#cursor = from;
    return placed;
  }

  #take(first: number, end: number): void {
    for (let cluster = first; cluster < end; cluster++) this.#free.delete(cluster);
    this.#end = Math.max(this.#end, end);
  }
}
