import { ZERO_FLAG } from '../../l1l2/entry.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import { flawOfL2Entry, mendedL2Entry } from '../../edit/repair/mend-entry.js';
import type { Evidence } from './evidence.js';
import { applyMended } from './mend-pointers.js';
import { isSoundL2 } from '../../read/scan/table-contents.js';
import { clusterOfEntry, entriesPastEnd } from './weigh.js';

/** Entries by the host offset of their table. */
export type GivenUpEntries = ReadonlyMap<number, ReadonlySet<number>>;

const NOTHING_GIVEN_UP: GivenUpEntries = new Map();

/** What an L2 table becomes in the copy: it has no entry that can't be right. */
export class TableCopier {
  readonly #evidence: Evidence;
  readonly #metadata: ClusterSet;
  readonly #givenUp: GivenUpEntries;
  readonly version: 2 | 3;

  /**
   * @param metadata clusters in which no guest data can lie.
   * @param version of the copy.
   * @param givenUp entries that count as lost, whatever they say.
   */
  constructor(
    evidence: Evidence,
    metadata: ClusterSet,
    version: 2 | 3,
    givenUp: GivenUpEntries = NOTHING_GIVEN_UP,
  ) {
    this.#givenUp = givenUp;
    this.#evidence = evidence;
    this.#metadata = metadata;
    this.version = version;
  }

  /**
   * Mends a table in place: pointers with a flipped bit get back what they led to, stray bits go, and
   * what is lost reads as zeros.
   *
   * @param at where it lies in the damaged file.
   * @param mended places to put back, by the index of the entry.
   * @param lost is told the index of every entry that is lost.
   */
  mend(
    words: Uint32Array,
    at: number,
    mended: ReadonlyMap<number, number> | undefined,
    lost: (entry: number) => void,
  ): void {
    const { scan } = this.#evidence;
    const { stride } = scan;
    applyMended(words, mended, this.#evidence);
    const givenUp = this.#givenUp.get(at);
    const end = words.length - entriesPastEnd(at, this.#evidence) * stride;
    for (let i = 0; i < words.length; i += stride) {
      const isGivenUp = givenUp?.has(i / stride) === true;
      const isRight = !isGivenUp && i < end;
      if (isRight && (this.#isEmpty(words, i) || this.#isKept(words, i))) continue;
      // Of an entry that its subclusters contradict, those that don't are kept.
      if (!isRight || !this.#keepSubclusters(words, i)) this.writeZero(words, i);
      lost(i / stride);
    }
  }

  /** A table for a part of the disk of which nothing is left. */
  fillZeros(words: Uint32Array): void {
    for (let i = 0; i < words.length; i += this.#evidence.scan.stride) this.writeZero(words, i);
  }

  /** An entry that reads as zeros. */
  writeZero(words: Uint32Array, i: number): void {
    const isExtended = this.#evidence.scan.stride === 4;
    words[i] = 0;
    words[i + 1] = this.version === 3 && !isExtended ? ZERO_FLAG : 0;
    if (isExtended) {
      words[i + 2] = 0xffff_ffff;
      words[i + 3] = 0;
    }
  }

  #isEmpty(words: Uint32Array, i: number): boolean {
    const isExtended = this.#evidence.scan.stride === 4;
    return (words[i]! | words[i + 1]! | (isExtended ? words[i + 2]! | words[i + 3]! : 0)) === 0;
  }

  /** Whether the entry is sound, or is once it is rid of bits that mean nothing. */
  #isKept(words: Uint32Array, i: number): boolean {
    const { scan } = this.#evidence;
    if (!isSoundL2(words, i, scan)) {
      const entry = entryAt(words, i, scan.stride);
      if (flawOfL2Entry(entry, scan.format) !== 'bits') return false;
      words.set(mendedL2Entry(entry, 'bits', scan.format, 'flag')!, i);
    }
    return !this.#isInMetadata(words, i);
  }

  #keepSubclusters(words: Uint32Array, i: number): boolean {
    const { scan } = this.#evidence;
    if (scan.stride === 2 || isSoundL2(words, i, scan)) return false;
    const entry = entryAt(words, i, scan.stride);
    words.set(mendedL2Entry(entry, 'unreadable', scan.format, 'flag')!, i);
    return !this.#isInMetadata(words, i);
  }

  #isInMetadata(words: Uint32Array, i: number): boolean {
    const cluster = clusterOfEntry(words[i]!, words[i + 1]!, this.#evidence.scan);
    return cluster !== undefined && this.#metadata.has(cluster);
  }
}

function entryAt(words: Uint32Array, i: number, stride: number): number[] {
  return Array.from(words.subarray(i, i + stride));
}
