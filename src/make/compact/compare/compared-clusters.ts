const UNITS = 32;
const ALL_UNITS = 0xffff_ffff;

/** What a cluster has in the other image where that holds zeros; places there are positive. */
export const ZEROS = -1;

/**
 * Which clusters of one image were compared, and with what of the other one: for disks that share a cluster it is the
 * same, and is not compared again. Memory: 8 bytes a cluster, 12 where there are subclusters.
 */
export class ComparedClusters {
  readonly #others: Float64Array;
  /** By cluster: the parts of it that were compared, a bit each. Undefined: whole ones alone are noted. */
  readonly #units: Uint32Array | undefined;
  readonly #unitBytes: number;

  constructor(clusters: number, clusterBytes: number, hasSubclusters: boolean) {
    this.#others = new Float64Array(clusters);
    this.#units = hasSubclusters ? new Uint32Array(clusters) : undefined;
    this.#unitBytes = clusterBytes / UNITS;
  }

  /**
   * Whether the bytes `from` to `to` of a cluster were compared with this before. From now on they were.
   *
   * @param other what the other image has: ZEROS, or a number for the place where the whole cluster would begin.
   */
  wasCompared(cluster: number, from: number, to: number, other: number): boolean {
    const isSame = this.#others[cluster] === other;
    const units = this.#unitsIn(from, to);
    const before = isSame ? (this.#units?.[cluster] ?? ALL_UNITS) : 0;
    if (units !== 0 && (units & ~before) === 0) return true;
    if (this.#units !== undefined) this.#units[cluster] = before | units;
    // What is no whole cluster is only noted where there is room for it.
    if (this.#units !== undefined || units === ALL_UNITS) this.#others[cluster] = other;
    return false;
  }

  /** The parts from `from` to `to`, a bit each; none where these begin or end inside one. */
  #unitsIn(from: number, to: number): number {
    const [first, end] = [from / this.#unitBytes, to / this.#unitBytes];
    if (!Number.isInteger(first) || !Number.isInteger(end)) return 0;
    if (end - first === UNITS) return ALL_UNITS;
    return ((2 ** (end - first) - 1) << first) >>> 0;
  }
}
