import { QsnapError } from '../../errors.js';
import type { Geometry } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';

/** Two bytes hold each count; where refcounts are wider, no cluster is shared by more. */
const COUNT_MAX = 0xffff;
const FIRST_CAPACITY = 1024;

/** How many references a cluster of a new image may have. */
export function referencesMaxOf({ refcountMax }: Geometry): number {
  return Math.min(refcountMax, COUNT_MAX);
}

/**
 * The host clusters of an image that is being made, in order of their place, and how often each is
 * pointed at. Two bytes of memory a cluster.
 */
export class HostClusters {
  /** The highest count that a cluster may have. */
  readonly countMax: number;
  #counts = new Uint16Array(FIRST_CAPACITY);
  #used: number;
  readonly #clusterBytes: number;

  /** @param reserved clusters at the start that are in use already, each once. */
  constructor(geometry: Geometry, reserved: number) {
    this.countMax = referencesMaxOf(geometry);
    this.#clusterBytes = geometry.clusterBytes;
    this.#used = 0;
    this.append(reserved);
  }

  /** How many clusters the file has. */
  get length(): number {
    return this.#used;
  }

  /** The count of each cluster. */
  get counts(): Uint16Array {
    return this.#counts.subarray(0, this.#used);
  }

  /**
   * Takes the next clusters, each for so many references.
   *
   * @returns the place of the first one in the file.
   * @throws QsnapError LIMIT_EXCEEDED for more clusters than qsnap counts; REFCOUNT_OVERFLOW.
   */
  append(clusters: number, references = 1): number {
    if (references > this.countMax) throw this.#overflow(references);
    const first = this.#used;
    this.#makeRoom(first + clusters);
    this.#counts.fill(references, first, first + clusters);
    this.#used += clusters;
    return first * this.#clusterBytes;
  }

  /** The count of one cluster. */
  count(cluster: number): number {
    return this.#counts[cluster]!;
  }

  /** More references to a cluster, as far as `countMax` allows them. */
  share(cluster: number, references = 1): void {
    this.#counts[cluster] = this.#counts[cluster]! + references;
  }

  #overflow(references: number): QsnapError {
    const message = `a cluster would have ${references} references`;
    return new QsnapError('REFCOUNT_OVERFLOW', message, {
      structure: 'refcount block',
      expected: `at most ${this.countMax}`,
      actual: String(references),
      hint: 'wider refcounts hold more references',
    });
  }

  #makeRoom(clusters: number): void {
    const { value: most } = LIMITS.hostClustersMax;
    if (clusters > most) {
      throw new QsnapError('LIMIT_EXCEEDED', `the file would have ${clusters} clusters`, {
        structure: 'host clusters',
        expected: `at most ${most}`,
        hint: 'larger clusters make a larger file possible',
      });
    }
    if (clusters <= this.#counts.length) return;
    const larger = new Uint16Array(Math.max(clusters, this.#counts.length * 2));
    larger.set(this.#counts);
    this.#counts = larger;
  }
}
