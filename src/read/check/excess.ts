import { ClusterSet } from '../../refcount/cluster-set.js';

/** If more than this share of the used counts of a block are wrong, the block holds something else. */
const JUNK_SHARE = 7 / 8;

/**
 * A repair sets the refcount of a cluster that may be lost data to the number of references and this many more.
 * The repair mends the signs of the loss, and later checks still see this mark. No program leaves so many by
 * chance: an operation that was broken off leaves one too many, or two.
 */
export const DOUBTED_EXCESS = 7;

/** Clusters whose stored refcounts are not their references, as far as it matters for what was lost. */
export class Excess {
  unreferencedClusters = 0;
  overcountedClusters = 0;
  /** Clusters with fewer refcounts than references, and with more, in blocks that do hold refcounts. */
  undercounted = 0;
  overcountedInSound = 0;
  /** Clusters that a repair marked as perhaps lost. */
  doubted = 0;
  #low = 0;
  #high = 0;
  #used = 0;
  readonly #clusters: number;
  /** A sound image has none, and takes no memory for them. */
  #unreferenced: ClusterSet | undefined;
  #overcounted: ClusterSet | undefined;
  #zeros: ClusterSet | undefined;
  #shared: ClusterSet | undefined;
  /** Of the block that is compared. */
  #sharedHere: number[] = [];

  constructor(clusters: number) {
    this.#clusters = clusters;
  }

  /** Clusters that count as used, or of which nobody can tell, and that nothing refers to. */
  get unreferenced(): ClusterSet {
    return (this.#unreferenced ??= new ClusterSet(this.#clusters));
  }

  /** Clusters that are referred to, but less often than they count as used. */
  get overcounted(): ClusterSet {
    return (this.#overcounted ??= new ClusterSet(this.#clusters));
  }

  get isEmpty(): boolean {
    return this.unreferencedClusters + this.overcountedClusters === 0;
  }

  /** A cluster of the block that is compared has more refcounts than references. */
  addHigh(cluster: number, references: number, stored: number): void {
    this.#high += 1;
    if (stored - references === DOUBTED_EXCESS) this.doubted += 1;
    if (references === 0) {
      this.addUnreferenced(cluster);
      if (stored > 1) this.#sharedHere.push(cluster);
    } else {
      this.overcounted.add(cluster);
      this.overcountedClusters += 1;
    }
  }

  addUnreferenced(cluster: number): void {
    this.unreferenced.add(cluster);
    this.unreferencedClusters += 1;
  }

  /** A cluster of the block that is compared has fewer refcounts than references. */
  addLow(): void {
    this.#low += 1;
  }

  /** So many more clusters of the block that is compared are used, whatever they count. */
  addUsed(clusters: number): void {
    this.#used += clusters;
  }

  /** The block is compared. */
  endBlock(): void {
    const different = this.#low + this.#high;
    if (different <= this.#used * JUNK_SHARE) {
      this.undercounted += this.#low;
      this.overcountedInSound += this.#high;
      for (const cluster of this.#sharedHere) {
        this.#shared ??= new ClusterSet(this.#clusters);
        this.#shared.add(cluster);
      }
    }
    this.#sharedHere = [];
    this.#low = this.#high = this.#used = 0;
  }

  /** The cluster, which nothing refers to, holds nothing but zeros. */
  addZero(cluster: number): void {
    this.#zeros ??= new ClusterSet(this.#clusters);
    this.#zeros.add(cluster);
  }

  /** Whether nothing refers to the cluster, and several disks did by its refcount. */
  wasShared(cluster: number): boolean {
    return cluster < this.#clusters && this.#shared?.has(cluster) === true;
  }

  /** Whether nothing refers to the cluster, and it holds something. */
  isLostData(cluster: number): boolean {
    if (cluster < 0 || cluster >= this.#clusters) return false;
    return this.#unreferenced?.has(cluster) === true && this.#zeros?.has(cluster) !== true;
  }

  /** Whether the cluster is referred to, but less often than it counts as used. */
  isOvercounted(cluster: number): boolean {
    return cluster < this.#clusters && this.#overcounted?.has(cluster) === true;
  }

  /** Whether nobody but a lost table can tell why the cluster counts as it does. */
  has(cluster: number): boolean {
    if (cluster >= this.#clusters) return false;
    return this.#unreferenced?.has(cluster) === true || this.#overcounted?.has(cluster) === true;
  }
}
