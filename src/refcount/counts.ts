import type { Geometry } from '../qcow2/geometry.js';
import { maskOf } from './bits.js';

/** Words of the first window that is compared. A stretch of equal words is mostly short or very long. */
const FIRST_WINDOW = 16;

/** The counts of 32 clusters: 32 planes, of which only the first `depth` are not 0. */
export interface WordOfCounts {
  readonly planes: Uint32Array;
  readonly depth: number;
}

/**
 * A count for every host cluster, bit by bit: bit `p` of the count of cluster `c` is bit `c & 31` of
 * word `c >>> 5` of plane `p`. Counts are small, and neighbours mostly have the same one. Planes make use
 * of both: there are only as many as the highest count has bits, and one step changes or compares 32 counts.
 *
 * ```
 *               word 1            word 0
 *           63  ...  33 32    31  ...  2  1  0    cluster
 * planes[0] [ 0 ...   1  1 ]  [ 0 ...  1  0  1 ]  bit 0 of its count
 * planes[1] [ 0 ...   0  0 ]  [ 0 ...  1  1  0 ]  bit 1
 *                                      3  2  1    the counts of clusters 2, 1 and 0
 * ```
 */
export class Counts {
  readonly clusters: number;
  /** The highest count that a refcount of the image can hold: 2^n - 1. */
  readonly max: number;
  /** `cluster >>> blockShift` is the refcount block that counts the cluster. */
  readonly blockShift: number;
  /** By refcount block: 1 where a count was changed since the marks were cleared. */
  readonly touched: Uint8Array;
  /** The lowest bits first; as many as were needed so far. */
  readonly planes: Uint32Array[];
  /** Planes that `max` allows. */
  readonly #width: number;

  constructor(
    clusters: number,
    max: number,
    blockShift: number,
    shared: Pick<Counts, 'planes' | 'touched'> = {
      planes: [],
      touched: new Uint8Array(Math.ceil(clusters / 2 ** blockShift)),
    },
  ) {
    this.clusters = clusters;
    this.max = max;
    this.blockShift = blockShift;
    this.planes = shared.planes;
    this.touched = shared.touched;
    this.#width = Math.log2(max + 1);
  }

  /** The same counts, of which none may pass `max` from now on. */
  limitedTo(max: number): Counts {
    return new Counts(this.clusters, max, this.blockShift, this);
  }

  get(cluster: number): number {
    const { planes } = this;
    const word = cluster >>> 5;
    let count = 0;
    for (let p = 0; p < planes.length; p++) {
      count |= ((planes[p]![word]! >>> (cluster & 31)) & 1) << p;
    }
    return count >>> 0;
  }

  /** Replaces a count; its block is not marked. */
  set(cluster: number, count: number): void {
    const word = cluster >>> 5;
    const bit = 1 << (cluster & 31);
    for (let p = 0, rest = count; p < this.planes.length || rest !== 0; p++, rest >>>= 1) {
      const plane = this.#plane(p);
      plane[word] = (rest & 1) === 0 ? plane[word]! & ~bit : plane[word]! | bit;
    }
  }

  /**
   * Changes one count and marks its block.
   *
   * @returns false, and changes nothing, when the count would leave 0 to `max`.
   */
  change(cluster: number, by: number): boolean {
    if (!this.changeWord(cluster >>> 5, 1 << (cluster & 31), by)) return false;
    this.touched[cluster >>> this.blockShift] = 1;
    return true;
  }

  /**
   * Changes the counts of clusters in a row and marks their blocks.
   *
   * @returns how many were changed: `length`, or those before the first that would leave 0 to `max`.
   */
  changeRun(first: number, length: number, by: number): number {
    const end = first + length;
    let cluster = first;
    while (cluster < end) {
      if ((cluster & 31) === 0) {
        cluster = 32 * this.#changeAlike(cluster >>> 5, end >>> 5, by);
        if (cluster === end) break;
      }
      const clusters = Math.min(32 - (cluster & 31), end - cluster);
      if (!this.changeWord(cluster >>> 5, maskOf(cluster & 31, clusters), by)) {
        // One of them can't be changed; those before it are.
        while (this.changeWord(cluster >>> 5, 1 << (cluster & 31), by)) cluster++;
        break;
      }
      cluster += clusters;
    }
    if (cluster === first) return 0;
    const { touched, blockShift } = this;
    const last = (cluster - 1) >>> blockShift;
    for (let block = first >>> blockShift; block <= last; block++) touched[block] = 1;
    return cluster - first;
  }

  /**
   * Changes the counts of the clusters of a word that `mask` has; no block is marked.
   *
   * @returns false, and changes nothing, when one of them would leave 0 to `max`.
   */
  changeWord(word: number, mask: number, by: number): boolean {
    if (by < 0) {
      if (!this.#has(word, mask, -by)) return false;
      this.#subtract(word, mask, -by);
      return true;
    }
    if (this.#add(word, mask, by) === 0) return true;
    this.#subtract(word, mask, by);
    return false;
  }

  /** The count that all clusters of a word have, if they have the same one. */
  alikeAt(word: number): number | undefined {
    const { planes } = this;
    let count = 0;
    for (let p = 0; p < planes.length; p++) {
      const bits = planes[p]![word]! | 0;
      if (bits === -1) count |= 1 << p;
      else if (bits !== 0) return undefined;
    }
    return count >>> 0;
  }

  /** The first word behind `word` that has other counts than it, or `end`. */
  endOfAlike(word: number, end: number): number {
    // By windows, not plane by plane up to `end`: if only the last plane differs from word to word, the search
    // in the others would go on to `end` for every word.
    let from = word + 1;
    for (let window = FIRST_WINDOW; from < end; window *= 2) {
      const stop = Math.min(end, from + window);
      const same = this.#endOfAlikeWithin(word, from, stop);
      if (same < stop) return same;
      from = stop;
    }
    return from;
  }

  #endOfAlikeWithin(word: number, from: number, stop: number): number {
    const { planes } = this;
    let same = stop;
    for (let p = 0; p < planes.length; p++) {
      const plane = planes[p]!;
      const bits = plane[word]!;
      let next = from;
      while (next < same && plane[next] === bits) next++;
      same = next;
    }
    return same;
  }

  /** Which clusters of a word have a count of exactly 1. */
  onesAt(word: number): number {
    const { planes } = this;
    if (planes.length === 0) return 0;
    let ones = planes[0]![word]! | 0;
    for (let p = 1; p < planes.length; p++) ones &= ~planes[p]![word]!;
    return ones;
  }

  /** Which clusters of a word have a count other than 0. */
  usedAt(word: number): number {
    const { planes } = this;
    let used = 0;
    for (let p = 0; p < planes.length; p++) used |= planes[p]![word]!;
    return used;
  }

  /** The first cluster of `first` up to `end` whose count is not 0, or `end`. */
  nextUsed(first: number, end: number): number {
    const lastWord = (end - 1) >>> 5;
    let next = end;
    for (const plane of this.planes) {
      let word = first >>> 5;
      let bits = plane[word]! & maskOf(first & 31, end - first);
      while (bits === 0 && word < lastWord) bits = plane[++word]!;
      if (bits !== 0) next = Math.min(next, word * 32 + 31 - Math.clz32(bits & -bits));
    }
    return next;
  }

  /** Which clusters of a word have other counts than those in `other`. */
  differenceAt(word: number, { planes: other, depth }: WordOfCounts): number {
    const { planes } = this;
    let different = 0;
    for (let p = 0; p < planes.length; p++) different |= planes[p]![word]! ^ other[p]!;
    for (let p = planes.length; p < depth; p++) different |= other[p]!;
    return different;
  }

  /** Replaces the counts of the clusters in `mask`; no block is marked. */
  setWord(word: number, mask: number, { planes: other, depth }: WordOfCounts): void {
    for (let p = 0; p < Math.max(depth, this.planes.length); p++) {
      const plane = this.#plane(p);
      plane[word] = (plane[word]! & ~mask) | (other[p]! & mask);
    }
  }

  /**
   * Changes all counts of words in a row, as long as they are the same everywhere.
   *
   * @returns the first word that was not changed: its counts differ, or would leave 0 to `max`.
   */
  #changeAlike(first: number, end: number, by: number): number {
    let word = first;
    while (word < end) {
      const alike = this.alikeAt(word);
      if (alike === undefined || alike + by < 0 || alike + by > this.max) break;
      const next = this.endOfAlike(word, end);
      for (let p = 0, rest = alike + by; p < this.planes.length || rest !== 0; p++, rest >>>= 1) {
        this.#plane(p).fill((rest & 1) === 0 ? 0 : 0xffff_ffff, word, next);
      }
      word = next;
    }
    return word;
  }

  #plane(index: number): Uint32Array {
    while (this.planes.length <= index) {
      this.planes.push(new Uint32Array(Math.ceil(this.clusters / 32)));
    }
    return this.planes[index]!;
  }

  /** @returns the clusters whose count passed `max` and went on from 0. */
  #add(word: number, mask: number, by: number): number {
    let carry = 0;
    for (let p = 0, rest = by; (rest | carry) !== 0; p++, rest >>>= 1) {
      if (p === this.#width) return rest === 0 ? carry : mask;
      const plane = p < this.planes.length ? this.planes[p]! : this.#plane(p);
      const is = plane[word]! | 0;
      const add = (rest & 1) === 0 ? 0 : mask;
      plane[word] = is ^ add ^ carry;
      carry = (is & add) | (carry & (is ^ add));
    }
    return 0;
  }

  /** Whether all counts in `mask` are at least `least`. */
  #has(word: number, mask: number, least: number): boolean {
    const { planes } = this;
    let borrow = 0;
    let rest = least;
    for (let p = 0; p < planes.length && (rest | borrow) !== 0; p++, rest >>>= 1) {
      const is = planes[p]![word]! | 0;
      const take = (rest & 1) === 0 ? 0 : mask;
      borrow = (~is & take) | (borrow & ~(is ^ take));
    }
    return (rest | borrow) === 0;
  }

  /** Modulo `max` + 1. */
  #subtract(word: number, mask: number, by: number): void {
    let borrow = 0;
    for (let p = 0, rest = by; p < this.#width && (rest | borrow) !== 0; p++, rest >>>= 1) {
      const plane = this.planes[p]!;
      const is = plane[word]! | 0;
      const take = (rest & 1) === 0 ? 0 : mask;
      plane[word] = is ^ take ^ borrow;
      borrow = (~is & take) | (borrow & ~(is ^ take));
    }
  }
}

/** @param max the highest count, if not the highest refcount of the image. */
export function newCounts(
  clusters: number,
  { refcountMax, refcountBlockEntries }: Geometry,
  max = refcountMax,
): Counts {
  return new Counts(clusters, max, Math.log2(refcountBlockEntries));
}
