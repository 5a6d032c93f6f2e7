import { assert } from '../../base/assert.js';
import { HIGH_WORD } from '../../base/words.js';
import { COPIED, offsetOf, ZERO_FLAG } from '../../l1l2/entry.js';
import type { Geometry } from '../../qcow2/geometry.js';

const SUBCLUSTERS = 32;
const ALL_SUBCLUSTERS = 0xffff_ffff;

/**
 * The L2 table of an image that is being made, while it is being filled. Places are bytes from the
 * first one that the table maps; stretches begin and end at units: subclusters with extended L2
 * entries, clusters without.
 */
export class NewL2Table {
  /** What is kept or left out on its own: bytes of a subcluster, or of a cluster. */
  readonly unitBytes: number;
  /** Pairs of words in host order; 4 words an entry if they are extended. */
  readonly words: Uint32Array;
  readonly #clusterBytes: number;
  readonly #entryWords: number;
  readonly #extended: boolean;

  constructor({ clusterBytes, l2EntryBytes }: Geometry) {
    this.#extended = l2EntryBytes === 16;
    this.#clusterBytes = clusterBytes;
    this.#entryWords = l2EntryBytes / 4;
    this.unitBytes = this.#extended ? clusterBytes / SUBCLUSTERS : clusterBytes;
    this.words = new Uint32Array(clusterBytes / 4);
  }

  /** Where in the file the cluster of a guest cluster lies; 0: it has none. */
  hostOf(cluster: number): number {
    const word = cluster * this.#entryWords;
    return offsetOf(this.words[word]!, this.words[word + 1]!);
  }

  /** Gives guest clusters their clusters in the file, one behind the other from `host` on. */
  map(firstCluster: number, clusters: number, host: number): void {
    for (let i = 0; i < clusters; i += 1) {
      const at = host + i * this.#clusterBytes;
      const word = (firstCluster + i) * this.#entryWords;
      this.words[word] = (COPIED | Math.floor(at / HIGH_WORD)) >>> 0;
      this.words[word + 1] = at >>> 0;
    }
  }

  /** A stretch of mapped clusters is guest data. */
  markData(from: number, to: number): void {
    if (this.#extended) this.#mark(3, from, to);
  }

  /** A stretch reads as zeros. */
  markZeros(from: number, to: number): void {
    if (this.#extended) {
      this.#mark(2, from, to);
      return;
    }
    for (let at = from; at < to; at += this.#clusterBytes) {
      this.words[(at / this.#clusterBytes) * this.#entryWords + 1] = ZERO_FLAG;
    }
  }

  /** The descriptor of a compressed cluster. */
  setCompressed(cluster: number, entry: readonly [high: number, low: number]): void {
    this.words.set(entry, cluster * this.#entryWords);
  }

  clear(): void {
    this.words.fill(0);
  }

  /** Sets bits of one half of the bitmap. Spec: Subcluster Allocation Bitmap. */
  #mark(half: 2 | 3, from: number, to: number): void {
    const clusterBytes = this.#clusterBytes;
    for (let at = from; at < to;) {
      const cluster = Math.floor(at / clusterBytes);
      const start = cluster * clusterBytes;
      const end = Math.min(to, start + clusterBytes);
      const first = (at - start) / this.unitBytes;
      const count = Math.ceil((end - at) / this.unitBytes);
      assert(Number.isInteger(first), 'a stretch begins at a subcluster');
      const word = cluster * this.#entryWords + half;
      const bits = (ALL_SUBCLUSTERS >>> (SUBCLUSTERS - count)) << first;
      this.words[word] = (this.words[word]! | bits) >>> 0;
      at = end;
    }
  }
}
