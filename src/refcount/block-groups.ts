import { bytesOf } from '../base/words.js';
import { maskOf } from './bits.js';
import { decodeRefcounts, encodeRefcounts } from './block.js';
import type { Counts } from './counts.js';

/** Clusters whose refcounts are decoded and encoded at a time: those of a word of `Counts`. */
const GROUP = 32;

/**
 * Most groups that one search for counts that are alike covers. Without this bound, counts that are alike over a
 * long stretch would be searched to its end for every group in which the stored refcounts differ.
 */
const ALIKE_GROUPS = 64;

/**
 * Turns refcounts from the bytes of a block into planes, as in `Counts`, and back: 32 at a time. Mostly all
 * 32 are the same, and the same as in the group before, so that case is the fast one.
 *
 * ```
 * refcount block        group 0           group 1                   n = refcount bits
 * (as stored)          [32 x n bits]     [32 x n bits] ...          a group is n words of 32 bits
 *                            │
 *                     decode ▼ ▲ encode
 *                            │ │
 * planes[0]           [ bit 0 of all 32 ]                           as one word of `Counts`
 * planes[depth - 1]   [ highest bit     ]
 * ```
 */
export class BlockGroups {
  /** The bits of the group that was decoded last, plane by plane. Lent: the next one fills it anew. */
  readonly planes = new Uint32Array(32);
  /** Planes from number `depth` on are 0. */
  depth = 0;
  readonly #refcountBits: number;
  readonly #counts = new Uint32Array(GROUP);
  /** The bytes of a group of which all refcounts are `#alike`. */
  readonly #pattern: Uint32Array;
  readonly #patternBytes: Uint8Array;
  #alike = 0;
  /** Whether `planes` has what `#pattern` says. */
  #isInPlanes = true;

  constructor(refcountBits: number) {
    this.#refcountBits = refcountBits;
    // 32 refcounts of n bits fill n words of 32 bits.
    this.#pattern = new Uint32Array(refcountBits);
    this.#patternBytes = bytesOf(this.#pattern);
  }

  /**
   * Decodes a group into `planes`. Refcounts above REFCOUNT_CAP end as that.
   *
   * @param block as it is stored; undefined: one that is not there, all refcounts are 0.
   */
  decode(block: Uint32Array | undefined, group: number): void {
    if (block === undefined) this.#usePattern(0);
    if (block === undefined || this.#isPattern(block, group)) {
      if (!this.#isInPlanes) this.#spread();
      return;
    }
    const bytes = bytesOf(block);
    const groupBytes = this.#patternBytes.length;
    const counts = this.#counts;
    decodeRefcounts(
      bytes.subarray(group * groupBytes, (group + 1) * groupBytes),
      this.#refcountBits,
      counts,
    );
    if (counts.every((count) => count === counts[0])) {
      this.#usePattern(counts[0]!);
      this.#spread();
      return;
    }
    this.#isInPlanes = false;
    this.planes.fill(0);
    this.depth = 32 - Math.clz32(counts.reduce((union, count) => union | count));
    for (let i = 0; i < GROUP; i++) {
      for (let p = 0, rest = counts[i]!; rest !== 0; p++, rest >>>= 1) {
        this.planes[p]! |= (rest & 1) << i;
      }
    }
  }

  /**
   * Compares a block with the counts, group by group.
   *
   * In most of a large image all refcounts are the same, not 0, and equal to the counts. Such a stretch goes
   * to `alike` as a whole, if given, and not to `visit`.
   *
   * @param first the block's first cluster, and `end` the cluster to stop before.
   * @param visit gets the first cluster of the group, a mask of its clusters before `end`, and a mask of
   *   those whose refcount is not the count.
   * @param alike gets the cluster behind the stretch.
   */
  visit(
    block: Uint32Array | undefined,
    counts: Counts,
    [first, end]: readonly [first: number, end: number],
    visit: (from: number, inside: number, different: number) => void,
    alike?: (to: number) => void,
  ): void {
    for (let from = first; from < end;) {
      this.decode(block, (from - first) / GROUP);
      const to = alike === undefined ? from : this.#endOfAlike(block, counts, first, end, from);
      if (to > from) {
        alike!(to);
        from = to;
      } else {
        const inside = maskOf(0, end - from);
        visit(from, inside, counts.differenceAt(from / GROUP, this) & inside);
        from += GROUP;
      }
    }
  }

  /** Which counts of the group that was decoded last are not 0. */
  used(): number {
    let used = 0;
    for (let p = 0; p < this.depth; p++) used |= this.planes[p]!;
    return used;
  }

  /** A count of the group that was decoded last. */
  countAt(index: number): number {
    let count = 0;
    for (let p = 0; p < this.depth; p++) count |= ((this.planes[p]! >>> index) & 1) << p;
    return count >>> 0;
  }

  /** Encodes the counts from a word on into a whole block. */
  encodeBlock(from: Counts, firstWord: number, block: Uint32Array): void {
    const size = this.#pattern.length;
    const groups = block.length / size;
    for (let group = 0; group < groups;) {
      const word = firstWord + group;
      this.encode(from, word, block, group);
      const next =
        from.alikeAt(word) === undefined
          ? group + 1
          : from.endOfAlike(word, firstWord + groups) - firstWord;
      repeat(block, group * size, size, next * size);
      group = next;
    }
  }

  /** Encodes the counts of a word into a group of the block. */
  encode(from: Counts, word: number, block: Uint32Array, group: number): void {
    const alike = from.alikeAt(word);
    if (alike === undefined) {
      for (let i = 0; i < GROUP; i++) this.#counts[i] = from.get(word * 32 + i);
      encodeRefcounts(this.#counts, this.#refcountBits, this.#patternBytes);
      // The pattern's room was used for other bytes.
      this.#alike = -1;
      this.#isInPlanes = false;
    } else {
      this.#usePattern(alike);
    }
    block.set(this.#pattern, group * this.#pattern.length);
  }

  /** The cluster behind the counts that are alike from the group decoded last on; `from` if there is none. */
  #endOfAlike(
    block: Uint32Array | undefined,
    counts: Counts,
    first: number,
    end: number,
    from: number,
  ): number {
    const word = from / GROUP;
    if (block === undefined || !this.#isInPlanes || this.#alike === 0) return from;
    if (counts.alikeAt(word) !== this.#alike) return from;
    const counted = counts.endOfAlike(word, Math.min(Math.ceil(end / GROUP), word + ALIKE_GROUPS));
    const size = this.#pattern.length;
    const at = ((from - first) / GROUP) * size;
    const stored = endOfRepeats(block, at, at + (counted - word) * size, size);
    return Math.min(end, from + Math.floor((stored - at) / size) * GROUP);
  }

  #isPattern(block: Uint32Array, group: number): boolean {
    const pattern = this.#pattern;
    const from = group * pattern.length;
    for (let i = 0; i < pattern.length; i++) if (block[from + i] !== pattern[i]) return false;
    return this.#alike >= 0;
  }

  #usePattern(alike: number): void {
    if (alike === this.#alike) return;
    this.#alike = alike;
    this.#isInPlanes = false;
    encodeRefcounts(this.#counts.fill(alike), this.#refcountBits, this.#patternBytes);
  }

  #spread(): void {
    for (let p = 0; p < 32; p++) this.planes[p] = ((this.#alike >>> p) & 1) === 0 ? 0 : 0xffff_ffff;
    this.depth = 32 - Math.clz32(this.#alike);
    this.#isInPlanes = true;
  }
}

/**
 * How far the group of `size` words at `at` is repeated. All its refcounts are the same, so its words are, too;
 * refcounts of 64 bits take two words in turn.
 */
function endOfRepeats(block: Uint32Array, at: number, end: number, size: number): number {
  const even = block[at]!;
  const odd = block[size > 1 ? at + 1 : at]!;
  let i = at + size;
  for (; i + 8 <= end; i += 8) {
    const evens = (block[i]! ^ even) | (block[i + 2]! ^ even) | (block[i + 4]! ^ even);
    const odds = (block[i + 1]! ^ odd) | (block[i + 3]! ^ odd) | (block[i + 5]! ^ odd);
    if ((evens | odds | (block[i + 6]! ^ even) | (block[i + 7]! ^ odd)) !== 0) break;
  }
  while (i < end && block[i] === ((i & 1) === (at & 1) ? even : odd)) i++;
  return i;
}

/** Repeats the `size` words at `at`, of which all refcounts are the same, up to `end`. */
function repeat(block: Uint32Array, at: number, size: number, end: number): void {
  if (size <= 32) block.fill(block[at]!, at + size, end);
  else for (let i = at + size; i < end; i++) block[i] = block[i - size]!;
}
