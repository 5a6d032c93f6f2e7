import { storedWords, swapWords } from '../../base/words.js';
import type { Scan } from '../../l1l2/scan.js';
import { MAGIC, SNAPSHOT_ENTRY_BYTES } from '../../qcow2/spec.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { ALL_ZERO, firstLook, PERHAPS_TABLE } from './first-look.js';
import { entryLength } from './snapshot-entries.js';
import { contentsAsL1, contentsAsL2, isTableLike } from './table-contents.js';

/** Of what looks like a snapshot table or a header, no more places are kept. */
const PLACES_MAX = 65_536;

/** What clusters of a file hold, by what their bytes look like. */
export interface ClusterContents {
  /** Host offsets of clusters that look like an L2 or an L1 table, ascending. */
  readonly tables: Float64Array;
  /** The same as a set. */
  readonly isTable: ClusterSet;
  /** Clusters of nothing but zeros. */
  readonly isZero: ClusterSet;
  /** Host offsets of clusters that begin as a snapshot table does. */
  readonly snapshotTables: readonly number[];
  /** Host offsets, other than 0, of clusters that begin as a header does. */
  readonly headers: readonly number[];
}

/** Looks at clusters one by one, in ascending order, and keeps what each of them may be. */
export class ClusterLooks {
  readonly #scan: Scan;
  readonly #context: { readonly clusterBytes: number; readonly fileSizeBytes: number };
  readonly #tables: number[] = [];
  readonly #isTable: ClusterSet;
  readonly #isZero: ClusterSet;
  readonly #snapshotTables: number[] = [];
  readonly #headers: number[] = [];
  /** A cluster in host order. */
  readonly #words: Uint32Array;

  constructor(scan: Scan, fileSizeBytes: number) {
    const { clusterBytes } = scan.format.geometry;
    this.#scan = scan;
    this.#context = { clusterBytes, fileSizeBytes };
    this.#isTable = new ClusterSet(scan.fileClusters);
    this.#isZero = new ClusterSet(scan.fileClusters);
    this.#words = new Uint32Array(clusterBytes / 4);
  }

  /** @param bytes whole clusters from `at` on. */
  lookAt(bytes: Uint8Array, at: number): void {
    const { clusterBytes } = this.#context;
    const stored = storedWords(bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const clusterWords = clusterBytes / 4;
    for (let offset = 0; offset < bytes.length; offset += clusterBytes) {
      const cluster = (at + offset) / clusterBytes;
      const from = offset / 4;
      const look = firstLook(stored, from, from + clusterWords, this.#scan);
      if (look === ALL_ZERO) {
        this.#isZero.add(cluster);
        continue;
      }
      if (cluster === 0) continue;
      if (look === PERHAPS_TABLE)
        this.#lookCloser(stored.subarray(from, from + clusterWords), cluster);
      this.#lookForStart(bytes, view, offset, at + offset);
    }
  }

  /** Clusters that read as zeros, and were not looked at: holes of the file. */
  skipZeros(first: number, end: number): void {
    this.#isZero.addRange(first, end);
  }

  /** Whether a cluster that was looked at is nothing but zeros. */
  isZero(cluster: number): boolean {
    return this.#isZero.has(cluster);
  }

  #lookCloser(stored: Uint32Array, cluster: number): void {
    const words = this.#words;
    words.set(stored);
    swapWords(words);
    const isExtended = this.#scan.stride === 4;
    const looks = [
      contentsAsL2(words, this.#scan),
      ...(isExtended ? [contentsAsL1(words, this.#scan)] : []),
    ];
    if (!looks.some(isTableLike)) return;
    this.#tables.push(cluster * this.#context.clusterBytes);
    this.#isTable.add(cluster);
  }

  /** Headers and snapshot tables are told by how they begin. */
  #lookForStart(bytes: Uint8Array, view: DataView, offset: number, at: number): void {
    if (bytes[offset] !== 0) {
      const isHeader = view.getUint32(offset) === MAGIC;
      if (isHeader && this.#headers.length < PLACES_MAX) this.#headers.push(at);
      return;
    }
    if (offset + SNAPSHOT_ENTRY_BYTES > bytes.length) return;
    const entry = entryLength(bytes, offset, {
      ...this.#context,
      at,
      diskSizeBytes: 0,
      isNamed: false,
    });
    if (entry === undefined || this.#snapshotTables.length >= PLACES_MAX) return;
    this.#snapshotTables.push(at);
  }

  finish(): ClusterContents {
    return {
      tables: Float64Array.from(this.#tables),
      isTable: this.#isTable,
      isZero: this.#isZero,
      snapshotTables: this.#snapshotTables,
      headers: this.#headers,
    };
  }
}
