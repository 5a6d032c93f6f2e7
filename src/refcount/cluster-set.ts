import { setBits } from './bits.js';

/** A set of host clusters below a fixed number: one bit each. */
export class ClusterSet {
  readonly #words: Uint32Array;
  readonly clusters: number;
  /** No word before this one has a member: in a full image all that is free lies at its end. */
  #firstWord: number;

  constructor(clusters: number) {
    this.clusters = clusters;
    this.#words = new Uint32Array(Math.ceil(clusters / 32));
    this.#firstWord = this.#words.length;
  }

  has(cluster: number): boolean {
    return (this.#words[cluster >>> 5]! & (1 << (cluster & 31))) !== 0;
  }

  add(cluster: number): void {
    this.addWord(cluster >>> 5, 1 << (cluster & 31));
  }

  delete(cluster: number): void {
    this.#words[cluster >>> 5]! &= ~(1 << (cluster & 31));
  }

  /** The members among clusters `word * 32` to `word * 32 + 31`, a bit each. */
  wordAt(word: number): number {
    return this.#words[word]! | 0;
  }

  /** Adds those of a word that `mask` has. */
  addWord(word: number, mask: number): void {
    if (mask === 0) return;
    this.#words[word]! |= mask;
    this.#firstWord = Math.min(this.#firstWord, word);
  }

  /** Adds `first` up to, not including, `end`. */
  addRange(first: number, end: number): void {
    if (end <= first) return;
    setBits(this.#words, first, end);
    this.#firstWord = Math.min(this.#firstWord, first >>> 5);
  }

  /** The first member at or after `from`, or `clusters` when there is none. */
  next(from: number): number {
    return this.#find(Math.max(from, this.#firstWord * 32), this.clusters, 0);
  }

  /** The first cluster at or after `from` that is not a member, looking no further than `end`. */
  nextMissing(from: number, end = this.clusters): number {
    return this.#find(from, Math.min(end, this.clusters), -1);
  }

  /** The first cluster at or after `from` whose bit is not that of `skipped`, 32 of one kind. */
  #find(from: number, end: number, skipped: 0 | -1): number {
    if (from >= end) return end;
    const words = this.#words;
    const endWord = Math.ceil(end / 32);
    let word = from >>> 5;
    let rest = (words[word]! ^ skipped) & (-1 << (from & 31));
    while (rest === 0 && ++word < endWord) rest = words[word]! ^ skipped;
    if (rest === 0) return end;
    return Math.min(word * 32 + 31 - Math.clz32(rest & -rest), end);
  }
}
