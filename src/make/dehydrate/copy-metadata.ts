import { isZero } from '../../base/bytes.js';
import { newIoBytes } from '../../base/io-bytes.js';
import { MiB } from '../../base/units.js';
import { storedWords } from '../../base/words.js';
import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import type { ImageParts } from './find-parts.js';
import { looksWrong, TABLE_KINDS, type TableKind } from './looks-wrong.js';
import type { Names } from './names.js';
import { newHead } from './new-head.js';
import { newBitmapDirectory, newSnapshotTable } from './new-lists.js';

/** Bytes and clusters that are read at a time. */
const BATCH_BYTES = 2 * MiB;
const BATCH_PIECES = 1024;

/** Why a cluster of metadata is not copied. */
export type LeftOutReason =
  /** It is guest data, too, or a VM state. */
  | 'guest-data'
  /** It is a part of the LUKS header, too. */
  | 'keys'
  /** It is a part of a structure with names, too. */
  | 'names'
  /** What lies there is most likely no table. */
  | 'no-table';

/** What was copied. */
export interface CopiedMetadata {
  /** Bytes of metadata, zeros in tables included. */
  readonly bytes: number;
  /** Clusters that were left out, by reason. */
  readonly leftOut: ReadonlyMap<LeftOutReason, ClusterSet>;
}

/** Copies metadata to where it lay, all but the header. */
export class MetadataCopy {
  readonly #parts: ImageParts;
  readonly #device: BlockDevice;
  readonly #names: Names;
  readonly #onBytes: (bytes: number) => void;
  readonly #buffer = newIoBytes(BATCH_BYTES);
  readonly #leftOut = new Map<LeftOutReason, ClusterSet>();
  #bytes = 0;

  constructor(
    parts: ImageParts,
    device: BlockDevice,
    names: Names,
    onBytes: (bytes: number) => void,
  ) {
    this.#parts = parts;
    this.#device = device;
    this.#names = names;
    this.#onBytes = onBytes;
  }

  /** Copies all tables. @returns the first cluster, which is to be written last. */
  async run(): Promise<Uint8Array> {
    for (const kind of TABLE_KINDS) await this.#copyTables(kind);
    await this.#copySnapshotTable();
    await this.#copyBitmapDirectory();
    const { image } = this.#parts;
    const first = await this.#read(0, image.geometry.clusterBytes);
    this.#bytes += first.length;
    return newHead(first, image.header, this.#names);
  }

  copied(): CopiedMetadata {
    return { bytes: this.#bytes, leftOut: this.#leftOut };
  }

  async #copyTables(kind: TableKind): Promise<void> {
    const { image, tables } = this.#parts;
    const { clusterBytes } = image.geometry;
    let batch: Piece[] = [];
    let used = 0;
    for (const [cluster, length] of tables[kind].pieces()) {
      const reason = this.#reasonAgainst(cluster) ?? this.#reasonOfNames(cluster);
      if (reason !== undefined) {
        this.#leaveOut(reason, cluster);
        this.#onBytes(length);
        continue;
      }
      if (used + length > BATCH_BYTES || batch.length === BATCH_PIECES) {
        await this.#copyBatch(kind, batch);
        batch = [];
        used = 0;
      }
      const at = cluster * clusterBytes;
      batch.push({ cluster, at, into: this.#buffer.subarray(used, used + length) });
      used += length;
    }
    await this.#copyBatch(kind, batch);
  }

  async #copyBatch(kind: TableKind, batch: readonly Piece[]): Promise<void> {
    const { image, limits } = this.#parts;
    if (batch.length === 0) return;
    await image.source.readBatch(batch);
    const writes: WriteRequest[] = [];
    for (const { cluster, at, into } of batch) {
      const words = kind === 'bitmap-data' ? new Uint32Array(0) : storedWords(into);
      if (looksWrong(kind, words, limits)) this.#leaveOut('no-table', cluster);
      else this.#take(at, into, writes);
    }
    await this.#device.writeBatch(writes);
    this.#onBytes(batch.reduce((sum, { into }) => sum + into.length, 0));
  }

  async #copySnapshotTable(): Promise<void> {
    const { image } = this.#parts;
    const { at } = image.header.snapshotTable;
    if (image.snapshotTableBytes === 0) return;
    const stored = await this.#read(at, image.snapshotTableBytes);
    await this.#put(at, newSnapshotTable(stored, at, image.snapshots, this.#names));
  }

  async #copyBitmapDirectory(): Promise<void> {
    const { header, extensions, unread } = this.#parts.image;
    // What can't be read may be anything.
    const isUnread = unread?.some(({ structure }) => structure === 'bitmap directory') === true;
    if (!header.bitmapsConsistent || isUnread) return;
    for (const extension of extensions) {
      if (extension.kind !== 'bitmaps') continue;
      const { directoryAt, directoryBytes } = extension.bitmaps;
      const stored = await this.#read(directoryAt, directoryBytes);
      await this.#put(directoryAt, newBitmapDirectory(stored, this.#names));
    }
  }

  /** As much of it as the file has. */
  async #read(at: number, length: number): Promise<Uint8Array> {
    const { source, fileSizeBytes } = this.#parts.image;
    const bytes = new Uint8Array(Math.max(0, Math.min(length, fileSizeBytes - at)));
    await source.readBatch([{ at, into: bytes }]);
    return bytes;
  }

  /** Writes a structure that was made anew, all but clusters that hold something else, too. */
  async #put(at: number, bytes: Uint8Array): Promise<void> {
    const { clusterBytes } = this.#parts.image.geometry;
    const writes: WriteRequest[] = [];
    for (let from = 0; from < bytes.length; from += clusterBytes) {
      const cluster = (at + from) / clusterBytes;
      const reason = this.#reasonAgainst(cluster);
      if (reason !== undefined) this.#leaveOut(reason, cluster);
      else this.#take(at + from, bytes.subarray(from, from + clusterBytes), writes);
    }
    await this.#device.writeBatch(writes);
  }

  /** Zeros are left to holes. */
  #take(at: number, bytes: Uint8Array, writes: WriteRequest[]): void {
    const there = bytes.subarray(0, this.#parts.image.fileSizeBytes - at);
    this.#bytes += there.length;
    if (!isZero(there)) writes.push({ at, bytes: there });
  }

  #reasonAgainst(cluster: number): LeftOutReason | undefined {
    const { data, keys } = this.#parts;
    if (data.has(cluster)) return 'guest-data';
    return keys.has(cluster) ? 'keys' : undefined;
  }

  #reasonOfNames(cluster: number): LeftOutReason | undefined {
    return this.#parts.named.has(cluster) ? 'names' : undefined;
  }

  #leaveOut(reason: LeftOutReason, cluster: number): void {
    const { data } = this.#parts;
    if (!this.#leftOut.has(reason)) this.#leftOut.set(reason, new ClusterSet(data.clusters));
    this.#leftOut.get(reason)!.add(cluster);
  }
}

interface Piece {
  readonly cluster: number;
  readonly at: number;
  readonly into: Uint8Array;
}
