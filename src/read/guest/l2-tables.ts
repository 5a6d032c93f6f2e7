import { MiB } from '../../base/units.js';
import { wordsInPlace } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { COPIED, offsetOf, type TableFormat } from '../../l1l2/entry.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { L1Ref } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import { readAround } from './read-around.js';
import { cutOff, PAST_THE_END, wrongL1Entry, type ReadProblem } from './wrong-entry.js';

/** Bytes of L2 tables kept for the next read: 4 GiB of guest data at 64 KiB clusters. */
const CACHE_BYTES = 4 * MiB;

/** An L2 table that could not be read from its medium. */
export interface LostTable {
  readonly reason: string;
}

/** L2 tables of one batch by their host offset, as `mapTable` takes them. */
export type LoadedTables = ReadonlyMap<number, Uint32Array | LostTable>;

export function isLost(table: Uint32Array | LostTable): table is LostTable {
  return 'reason' in table;
}

/** How an L1 table is read, and what of it is taken. */
export interface L2TablesOptions {
  readonly structure: string;
  readonly diskSizeBytes: number;
  readonly format: TableFormat;
  readonly tolerant: boolean;
  /** Whether sectors of tables that their medium can't give are told as lost instead of thrown. */
  readonly goesOn: boolean;
}

/** One L1 table, and the L2 tables that it points at, the last used of them kept in memory. */
export class L2Tables {
  readonly #image: OpenImage;
  readonly #ref: L1Ref;
  readonly #l1: Uint32Array;
  readonly #options: L2TablesOptions;
  /** Entries that could not be read, with why. */
  readonly #lost: readonly LostEntries[];
  readonly #tablesMax: number;
  /** In order of use, the last one last. */
  readonly #cache = new Map<number, Uint32Array>();

  private constructor(
    image: OpenImage,
    ref: L1Ref,
    { words, lost }: ReadL1,
    options: L2TablesOptions,
  ) {
    this.#image = image;
    this.#ref = ref;
    this.#l1 = words;
    this.#options = options;
    this.#lost = lost;
    this.#tablesMax = Math.max(2, CACHE_BYTES / image.geometry.clusterBytes);
  }

  /**
   * Reads as much of an L1 table as a disk of this size needs; where it is shorter, the rest of the
   * disk is unallocated.
   *
   * @throws QsnapError TABLE_INVALID for a table longer than any can be.
   */
  static async open(image: OpenImage, l1: L1Ref, options: L2TablesOptions): Promise<L2Tables> {
    const { structure, diskSizeBytes } = options;
    const entries = Math.min(l1.entries, l1EntriesFor(diskSizeBytes, image.geometry));
    const max = LIMITS.l1BytesMax.value / 8;
    if (entries > max) {
      throw new QsnapError('TABLE_INVALID', `the ${structure} claims ${l1.entries} entries`, {
        structure,
        at: l1.at,
        expected: `at most ${max}`,
        actual: String(l1.entries),
      });
    }
    return new L2Tables(image, l1, await readL1(image, l1, entries, options), options);
  }

  /**
   * Host offset of the L2 table that maps the L1 entry `index`; 0 where there is none.
   *
   * @throws QsnapError IMAGE_DAMAGED for an entry that can't be right, IMAGE_TRUNCATED for one that
   *   the file ends before, READ_FAILED.
   */
  offsetAt(index: number): number {
    const problem = this.problemAt(index);
    if (problem !== undefined) throw problem.error();
    return offsetOf(this.#l1[2 * index] ?? 0, this.#l1[2 * index + 1] ?? 0);
  }

  /** Why there is no telling where the L2 table of the L1 entry `index` is; undefined if there is. */
  problemAt(index: number): ReadProblem | undefined {
    for (const { from, to, problem } of this.#lost) {
      if (index >= from && index < to) return problem;
    }
    const high = this.#l1[2 * index] ?? 0;
    const low = this.#l1[2 * index + 1] ?? 0;
    if ((high | low) === 0) return undefined;
    const { structure, format, tolerant } = this.#options;
    const place = { structure, tableAt: this.#ref.at, entry: index };
    return wrongL1Entry(place, high, low, format, tolerant);
  }

  /** The first L1 entry from `index` on that points at a table, or `end`. */
  nextUsed(index: number, end: number): number {
    const l1 = this.#l1;
    let i = index;
    while (i < end && 2 * i < l1.length && (l1[2 * i]! | l1[2 * i + 1]!) === 0) i += 1;
    return this.#firstLost(index, 2 * i < l1.length ? Math.min(i, end) : end);
  }

  /**
   * The first L1 entry from `index` on that leads to another table than the one of `other`, or `end`. Both are of one
   * image.
   */
  nextDifferent(other: L2Tables, index: number, end: number): number {
    const [ours, others] = [this.#l1, other.#l1];
    const used = Math.min(end, Math.max(ours.length, others.length) / 2);
    let i = index;
    while (i < used && !isOtherPointer(ours, others, i)) i += 1;
    const found = i < used ? i : end;
    return other.#firstLost(index, this.#firstLost(index, found));
  }

  /** The first entry from `index` on that nobody could read, and may point at a table; or `end`. */
  #firstLost(index: number, end: number): number {
    return this.#lost.reduce((first, { from, to }) => {
      return to > index ? Math.min(first, Math.max(from, index)) : first;
    }, end);
  }

  /** Reads the tables at these offsets that are not in memory, and keeps the last ones. */
  async load(offsets: ReadonlySet<number>): Promise<LoadedTables> {
    const loaded = new Map<number, Uint32Array | LostTable>();
    const missing: number[] = [];
    for (const offset of offsets) {
      const words = this.#cache.get(offset);
      if (words === undefined) missing.push(offset);
      else loaded.set(offset, words);
    }
    for (const [offset, words] of await this.read(missing)) loaded.set(offset, words);
    for (const [offset, words] of loaded) if (!isLost(words)) this.#keep(offset, words);
    return loaded;
  }

  /**
   * Reads tables without keeping them: for walks that come by once.
   *
   * @param memory where they go: a cluster for each.
   */
  async read(
    offsets: readonly number[],
    memory: Uint8Array = new Uint8Array(offsets.length * this.#image.geometry.clusterBytes),
  ): Promise<LoadedTables> {
    const { clusterBytes } = this.#image.geometry;
    const bytes = memory.subarray(0, offsets.length * clusterBytes);
    const tables = offsets.map((at, i) => ({
      at,
      into: bytes.subarray(i * clusterBytes, (i + 1) * clusterBytes),
    }));
    const lost = new Set<number>();
    if (tables.length > 0 && this.#options.goesOn) {
      await readAround(this.#image.source, tables, (request) => lost.add(request));
    } else if (tables.length > 0) await this.#image.source.readBatch(tables);
    // Standard entries are read as they are stored.
    if (this.#image.geometry.l2EntryBytes === 16) wordsInPlace(bytes);
    return new Map(
      tables.map(({ at, into }, i) => [
        at,
        lost.has(i)
          ? { reason: 'the L2 table can not be read' }
          : new Uint32Array(into.buffer, into.byteOffset, clusterBytes / 4),
      ]),
    );
  }

  #keep(offset: number, words: Uint32Array): void {
    this.#cache.delete(offset);
    // A copy of its own, so that one table does not hold the memory of its whole batch.
    this.#cache.set(offset, words.buffer.byteLength === words.byteLength ? words : words.slice());
    if (this.#cache.size <= this.#tablesMax) return;
    const [oldest] = this.#cache.keys();
    this.#cache.delete(oldest!);
  }
}

/** Whether two L1 tables differ in an entry by more than the COPIED flag. What a table ends before is 0. */
function isOtherPointer(a: Uint32Array, b: Uint32Array, entry: number): boolean {
  const [high, low] = [2 * entry, 2 * entry + 1];
  return ((((a[high] ?? 0) ^ (b[high] ?? 0)) & ~COPIED) | ((a[low] ?? 0) ^ (b[low] ?? 0))) !== 0;
}

/** Entries of an L1 table that could not be read. */
interface LostEntries {
  readonly from: number;
  readonly to: number;
  readonly problem: ReadProblem;
}

interface ReadL1 {
  /** (high, low) pairs in host order. */
  readonly words: Uint32Array;
  readonly lost: readonly LostEntries[];
}

/**
 * Reads an L1 table. What of it lies behind the end of the file is lost, unless that counts as zeros;
 * and what the medium can't give, where that is no error.
 */
async function readL1(
  { source, geometry, fileSizeBytes }: OpenImage,
  { at }: L1Ref,
  entries: number,
  { structure, diskSizeBytes, tolerant, goesOn }: L2TablesOptions,
): Promise<ReadL1> {
  const bytes = new Uint8Array(entries * 8);
  const lost: LostEntries[] = [];
  if (entries > 0 && goesOn) {
    await readAround(source, [{ at, into: bytes }], (_, from, length, error) => {
      const problem = { reason: `the ${structure} can not be read`, error: () => error };
      lost.push({ from: Math.floor(from / 8), to: Math.ceil((from + length) / 8), problem });
    });
  } else if (entries > 0) await source.readBatch([{ at, into: bytes }]);
  const inFile = Math.max(0, Math.floor((fileSizeBytes - at) / 8));
  if (inFile < entries && !tolerant) {
    const guestFrom = inFile * geometry.l2CoverageBytes;
    const error = (): QsnapError => cutOff(structure, at, guestFrom, diskSizeBytes);
    const problem = { reason: `the ${structure} lies ${PAST_THE_END}`, error };
    lost.push({ from: inFile, to: entries, problem });
  }
  return { words: wordsInPlace(bytes), lost };
}
