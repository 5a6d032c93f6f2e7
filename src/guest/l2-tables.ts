import { MiB } from '../base/units.js';
import { wordsInPlace } from '../base/words.js';
import { QsnapError } from '../errors.js';
import type { Image } from '../image/image.js';
import { readTable } from '../image/walk.js';
import { offsetOf, type TableFormat } from '../l1l2/entry.js';
import { l1EntriesFor } from '../qcow2/geometry.js';
import type { L1Ref } from '../qcow2/header.js';
import { LIMITS } from '../qcow2/limits.js';
import { wrongL1Entry } from './wrong-entry.js';

/** Bytes of L2 tables kept for the next read: 4 GiB of guest data at 64 KiB clusters. */
const CACHE_BYTES = 4 * MiB;

/** L2 tables of one batch by their host offset, as `mapTable` takes them. */
export type LoadedTables = ReadonlyMap<number, Uint32Array>;

/** One L1 table, and the L2 tables that it points at, the last used of them kept in memory. */
export class L2Tables {
  readonly #image: Image;
  readonly #structure: string;
  readonly #ref: L1Ref;
  readonly #l1: Uint32Array;
  readonly #format: TableFormat;
  readonly #tolerant: boolean;
  readonly #tablesMax: number;
  /** In order of use, the last one last. */
  readonly #cache = new Map<number, Uint32Array>();

  private constructor(
    image: Image,
    structure: string,
    ref: L1Ref,
    l1: Uint32Array,
    format: TableFormat,
    tolerant: boolean,
  ) {
    this.#image = image;
    this.#structure = structure;
    this.#ref = ref;
    this.#l1 = l1;
    this.#format = format;
    this.#tolerant = tolerant;
    this.#tablesMax = Math.max(2, CACHE_BYTES / image.geometry.clusterBytes);
  }

  /**
   * Reads as much of an L1 table as a disk of this size needs; where it is shorter, the rest of the
   * disk is unallocated.
   *
   * @throws QsnapError TABLE_INVALID for a table longer than any can be.
   */
  static async open(
    image: Image,
    l1: L1Ref,
    options: {
      readonly structure: string;
      readonly diskSizeBytes: number;
      readonly format: TableFormat;
      readonly tolerant: boolean;
    },
  ): Promise<L2Tables> {
    const { structure, diskSizeBytes, format, tolerant } = options;
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
    const words = await readTable(image.source, l1.at, entries);
    return new L2Tables(image, structure, l1, words, format, tolerant);
  }

  /**
   * Host offset of the L2 table that maps the L1 entry `index`; 0 where there is none.
   *
   * @throws QsnapError IMAGE_DAMAGED for an entry that can't be right.
   */
  offsetAt(index: number): number {
    const high = this.#l1[2 * index] ?? 0;
    const low = this.#l1[2 * index + 1] ?? 0;
    if ((high | low) === 0) return 0;
    const place = { structure: this.#structure, tableAt: this.#ref.at, entry: index };
    const wrong = wrongL1Entry(place, high, low, this.#format, this.#tolerant);
    if (wrong !== undefined) throw wrong;
    return offsetOf(high, low);
  }

  /** The first L1 entry from `index` on that points at a table, or `end`. */
  nextUsed(index: number, end: number): number {
    const l1 = this.#l1;
    let i = index;
    while (i < end && 2 * i < l1.length && (l1[2 * i]! | l1[2 * i + 1]!) === 0) i += 1;
    return 2 * i < l1.length ? Math.min(i, end) : end;
  }

  /** Reads the tables at these offsets that are not in memory, and keeps the last ones. */
  async load(offsets: ReadonlySet<number>): Promise<LoadedTables> {
    const loaded = new Map<number, Uint32Array>();
    const missing: number[] = [];
    for (const offset of offsets) {
      const words = this.#cache.get(offset);
      if (words === undefined) missing.push(offset);
      else loaded.set(offset, words);
    }
    for (const [offset, words] of await this.read(missing)) loaded.set(offset, words);
    for (const [offset, words] of loaded) this.#keep(offset, words);
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
    if (tables.length > 0) await this.#image.source.readBatch(tables);
    // Standard entries are read as they are stored.
    if (this.#image.geometry.l2EntryBytes === 16) wordsInPlace(bytes);
    return new Map(
      tables.map(({ at, into }) => [
        at,
        new Uint32Array(into.buffer, into.byteOffset, clusterBytes / 4),
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
