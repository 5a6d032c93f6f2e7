import { newIoBytes } from '../../base/io-bytes.js';
import { MiB, roundUp } from '../../base/units.js';
import { storedWords, swapWords } from '../../base/words.js';
import { throwIfAborted } from '../../base/abort.js';
import type { BlockSource } from '../../io/device.js';
import type { Scan } from '../../l1l2/scan.js';
import { MAGIC, SNAPSHOT_ENTRY_BYTES } from '../../qcow2/spec.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { ALL_ZERO, firstLook, PERHAPS_TABLE } from './first-look.js';
import { entryLength } from './snapshot-entries.js';
import { isTableLike, contentsAsL1, contentsAsL2 } from './table-contents.js';

/** Bytes that are read at a time; the next ones are on their way meanwhile. */
const BATCH_BYTES = 4 * MiB;

/** Of what looks like a snapshot table or a header, no more places are kept. */
const PLACES_MAX = 65_536;

/** How a sweep is watched and ended. */
export interface SweepOptions {
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a file holds, cluster by cluster, by what its bytes look like. */
export interface SweptFile {
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

/**
 * Looks once at every cluster of a file, in order.
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function sweepFile(
  source: BlockSource,
  fileSizeBytes: number,
  scan: Scan,
  options: SweepOptions = {},
): Promise<SweptFile> {
  const looker = new Looker(scan, fileSizeBytes);
  const { clusterBytes } = scan.format.geometry;
  const batchBytes = Math.min(BATCH_BYTES, roundUp(fileSizeBytes, clusterBytes));
  const buffers = [0, 1].map(() => newIoBytes(batchBytes));
  const read = async (at: number): Promise<Uint8Array> => {
    const length = Math.min(batchBytes, roundUp(fileSizeBytes - at, clusterBytes));
    const into = buffers[(at / batchBytes) % 2]!.subarray(0, length);
    await source.readBatch([{ at, into }]);
    return into;
  };
  let next = fileSizeBytes > 0 ? read(0) : undefined;
  try {
    for (let at = 0; next !== undefined; at += batchBytes) {
      const bytes = await next;
      throwIfAborted(options.signal, 'the scan');
      next = at + batchBytes < fileSizeBytes ? read(at + batchBytes) : undefined;
      // Whoever waits for it gets its error: the next round, or nobody.
      next?.catch(() => undefined);
      looker.lookAt(bytes, at);
      options.onProgress?.(Math.min(at + batchBytes, fileSizeBytes), fileSizeBytes);
    }
  } finally {
    await next?.catch(() => undefined);
  }
  return looker.finish();
}

class Looker {
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

  finish(): SweptFile {
    return {
      tables: Float64Array.from(this.#tables),
      isTable: this.#isTable,
      isZero: this.#isZero,
      snapshotTables: this.#snapshotTables,
      headers: this.#headers,
    };
  }
}
