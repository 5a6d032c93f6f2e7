import { assert } from '../../base/assert.js';
import { roundUp } from '../../base/units.js';
import { bytesOfWords, HIGH_WORD } from '../../base/words.js';
import { batched } from '../../io/batched.js';
import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { refuseUsedFile } from '../../io/new-device.js';
import { COPIED } from '../../l1l2/entry.js';
import type { CompressionType } from '../../qcow2/header.js';
import { l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import { encodeFirstCluster } from './first-cluster.js';
import { HostClusters } from './host-clusters.js';
import { checkCreateOptions, type CreateImageOptions } from './create-options.js';
import { padded, piecesOf, lengthOf, zerosAt } from './guest-pieces.js';
import type { GuestWrite, ImageWriter } from './image-writer.js';
import { geometryOfNew } from './new-image.js';
import { NewL2Table } from './new-l2-table.js';
import { compressedEntry, Packing } from './packing.js';
import { appendRefcountArea, refcountWrites } from './refcount-area.js';
import { TablePlaces } from './table-places.js';
import { withDataFile } from './with-data-file.js';
import { WriteQueue } from './write-queue.js';

/** One write of this makes the file an image: the medium takes it whole or not at all. */
const FIRST_SECTOR_BYTES = 512;
/** What a cipher numbers. */
const SECTOR_BYTES = 512;

/**
 * Makes a qcow2 image of guest data that comes in ascending order. Clusters are appended to the
 * file; an L2 table follows the last cluster that it maps. L1, refcounts and at last the header are
 * written by `finish`; until then the file does not begin as a qcow2 image does.
 *
 * Memory: the L1 table, one L2 table, and two bytes for each host cluster.
 *
 * ```ts
 * const writer = await newQcow2Writer(device, {
 *   diskSizeBytes: disk.sizeBytes,
 *   version: 3,
 *   clusterBytes: 65536,
 *   refcountBits: 16,
 *   extendedL2: false,
 *   lazyRefcounts: false,
 *   compressionType: 'zlib',
 * });
 * await copyDisk(disk.guest, writer);
 * await writer.finish();
 * ```
 *
 * @param device empty, or a block device of fixed size: what lies in it is lost.
 * @param dataDevice what `dataFile` names, which is for the caller to open and to make as long as it shall be. It reads as
 *   zeros wherever the disk shall and nothing is written. Not closed.
 * @throws QsnapError NEW_IMAGE_INVALID; OUTPUT_EXISTS for a file that is not empty; WRITE_FAILED, NO_SPACE.
 */
export async function newQcow2Writer(
  device: BlockDevice,
  options: CreateImageOptions,
  dataDevice?: BlockDevice,
): Promise<ImageWriter> {
  // Fails now, and not after hours of copying, if the names don't fit.
  checkCreateOptions(options);
  const hasDataFile = options.dataFile !== undefined;
  assert(hasDataFile === (dataDevice !== undefined), 'guest data has one place to go');
  await refuseUsedFile(device, 'a new image');
  const wasEmpty = (await device.sizeBytes()) === 0;
  if (!wasEmpty) {
    await device.writeBatch([{ at: 0, bytes: new Uint8Array(FIRST_SECTOR_BYTES) }]);
    await device.flush();
  }
  const dataEndsEarly = dataDevice?.growable === false;
  return new Qcow2Writer(withDataFile(device, dataDevice), options, wasEmpty, dataEndsEarly);
}

class Qcow2Writer implements ImageWriter {
  readonly clusterBytes: number;
  readonly unitBytes: number;
  readonly takesCompressed: boolean;
  readonly compressionType: CompressionType;
  readonly #device: BlockDevice;
  readonly #options: CreateImageOptions;
  readonly #geometry: Geometry;
  /** What is not written reads as zeros: the file had nothing before. */
  readonly #hasHoles: boolean;
  /** What is written of the disk's last unit: all of it, unless the medium may end with the disk. */
  readonly #paddedBytes: number;
  readonly #clusters: HostClusters;
  /** Where the keys of an encrypted image begin. */
  readonly #keysAt: number;
  readonly #packing: Packing;
  readonly #places: TablePlaces;
  readonly #queue: WriteQueue;
  /** Pairs of words in host order. */
  readonly #l1: Uint32Array;
  /** The L2 table that is being filled, and its index; -1 while there is none. */
  readonly #l2: NewL2Table;
  #l1Index = -1;
  /** Of the L2 tables that are there whatever is written, the next. */
  #nextTable = 0;
  /** Guest offset up to which everything has been given. */
  #givenTo = 0;
  #finished = false;

  constructor(
    device: BlockDevice,
    options: CreateImageOptions,
    hasHoles: boolean,
    dataEndsEarly: boolean,
  ) {
    const geometry = geometryOfNew(options);
    this.clusterBytes = geometry.clusterBytes;
    this.compressionType = options.compressionType;
    this.takesCompressed = options.dataFile === undefined && options.encryption === undefined;
    this.#device = device;
    this.#queue = new WriteQueue(device);
    this.#options = options;
    this.#geometry = geometry;
    this.#hasHoles = hasHoles;
    this.#clusters = new HostClusters(geometry, 1);
    const keyBytes = options.encryption?.keys?.length ?? 0;
    this.#keysAt = this.#clusters.append(Math.ceil(keyBytes / geometry.clusterBytes));
    this.#packing = new Packing(this.#clusters, geometry.clusterBytes);
    this.#l1 = new Uint32Array(l1EntriesFor(options.diskSizeBytes, geometry) * 2);
    this.#l2 = new NewL2Table(geometry);
    this.unitBytes = this.#l2.unitBytes;
    this.#paddedBytes = dataEndsEarly ? 1 : this.unitBytes;
    const how = { hasHoles, unitBytes: this.unitBytes };
    this.#places = new TablePlaces(this.#clusters, geometry, options, how);
  }

  async writeBatch(writes: readonly GuestWrite[]): Promise<void> {
    await this.#queue.inTurn(batched(this.#requests(writes)));
  }

  async finish(): Promise<void> {
    assert(!this.#finished, 'an image is finished once');
    this.#finished = true;
    await this.#queue.drain();
    const keys = this.#options.encryption?.keys ?? new Uint8Array(0);
    await this.#device.writeBatch(padded(this.#keysAt, keys, this.clusterBytes));
    for (const batch of batched(this.#lastTables())) await this.#device.writeBatch(batch);
    const l1Bytes = this.#l1.length * 4;
    const l1At = l1Bytes === 0 ? 0 : this.#clusters.append(Math.ceil(l1Bytes / this.clusterBytes));
    await this.#device.writeBatch(padded(l1At, bytesOfWords(this.#l1), this.clusterBytes));
    const area = appendRefcountArea(this.#clusters, this.#geometry);
    for (const batch of refcountWrites(area, this.#clusters.counts, this.#geometry)) {
      await this.#device.writeBatch(batch);
    }
    const first = encodeFirstCluster(this.#options, {
      geometry: this.#geometry,
      activeL1: { at: l1At, entries: this.#l1.length / 2 },
      refcountTable: { at: area.at, clusters: area.tableClusters },
      dataFile: this.#options.dataFile,
      keysAt: this.#keysAt,
    });
    await this.#publish(first);
  }

  /** The first sector is written last, when all else is on the medium. */
  async #publish(first: Uint8Array): Promise<void> {
    const rest = first.subarray(FIRST_SECTOR_BYTES);
    const zeros = new Uint8Array(this.clusterBytes - first.length);
    const requests = [
      { at: FIRST_SECTOR_BYTES, bytes: rest },
      { at: first.length, bytes: this.#hasHoles ? zeros.subarray(0, 0) : zeros },
    ];
    await this.#device.writeBatch(requests.filter(({ bytes }) => bytes.length > 0));
    await this.#device.flush();
    await this.#device.writeBatch([{ at: 0, bytes: first.subarray(0, FIRST_SECTOR_BYTES) }]);
    await this.#device.flush();
  }

  /** What the writes come to. Gives places while it goes on. */
  *#requests(writes: readonly GuestWrite[]): Generator<WriteRequest> {
    for (const write of writes) {
      for (const piece of piecesOf(this.#checked(write), this.#geometry.l2CoverageBytes)) {
        yield* this.#place(piece);
      }
    }
  }

  #checked(write: GuestWrite): GuestWrite {
    const { diskSizeBytes } = this.#options;
    const isPacked = write.kind === 'compressed';
    const unitBytes = isPacked ? this.clusterBytes : this.unitBytes;
    const { at } = write;
    const end = isPacked ? Math.min(at + unitBytes, diskSizeBytes) : at + lengthOf(write);
    assert(at % unitBytes === 0 && at >= this.#givenTo, 'guest data comes in ascending order');
    assert(
      end <= diskSizeBytes && (end % unitBytes === 0 || end === diskSizeBytes),
      'guest data comes in whole units of the disk',
    );
    this.#givenTo = Math.ceil(end / unitBytes) * unitBytes;
    return write;
  }

  /** A piece lies in the guest range of one L2 table. */
  *#place(piece: GuestWrite): Generator<WriteRequest> {
    const { version, backing } = this.#options;
    // Nothing is there that would have to be hidden, and no flag to do it with.
    if (piece.kind === 'zero' && version === 2 && backing === undefined) return;
    const { l2CoverageBytes } = this.#geometry;
    const l1Index = Math.floor(piece.at / l2CoverageBytes);
    if (l1Index !== this.#l1Index) yield* this.#turnTo(l1Index);
    const from = piece.at - l1Index * l2CoverageBytes;
    if (piece.kind === 'compressed') {
      yield this.#placeCompressed(from / this.clusterBytes, piece.packed);
    } else if (piece.kind === 'data') {
      yield* this.#placeData(from, piece.bytes);
    } else if (this.#places.zerosAreData) {
      for (const { at, bytes } of zerosAt(from, from + piece.length)) {
        yield* this.#placeData(at, bytes);
      }
    } else if (version === 3) {
      this.#l2.markZeros(from, from + piece.length);
    } else {
      const clusters = Math.ceil(piece.length / this.clusterBytes);
      yield* this.#writeZeros(this.#map(from / this.clusterBytes, clusters), from, clusters);
    }
  }

  /** @param from from the first byte that the current L2 table maps. */
  *#placeData(from: number, bytes: Uint8Array): Generator<WriteRequest> {
    const { clusterBytes } = this;
    yield* this.#filling(this.#places.filled(from, bytes.length));
    this.#l2.markData(from, from + bytes.length);
    let cluster = Math.floor(from / clusterBytes);
    let begin = from % clusterBytes;
    let rest = bytes;
    // Other subclusters of the first cluster may have been written before.
    const host = this.#l2.hostOf(cluster);
    if (host !== 0) {
      yield* this.#data(host + begin, from, bytes.subarray(0, clusterBytes - begin));
      rest = bytes.subarray(clusterBytes - begin);
      cluster += 1;
      begin = 0;
    }
    if (rest.length === 0) return;
    const clusters = Math.ceil((begin + rest.length) / clusterBytes);
    const at = this.#map(cluster, clusters) + begin;
    yield* this.#data(at, cluster * clusterBytes + begin, rest);
  }

  /**
   * Guest data with zeros up to the end of its unit, encrypted where the image is.
   *
   * @param from where it begins, from the first byte that the current L2 table maps.
   */
  *#data(
    at: number,
    from: number,
    bytes: Uint8Array,
    unitBytes = this.#paddedBytes,
  ): Generator<WriteRequest> {
    const { guest } = this.#places;
    const { encryption } = this.#options;
    if (encryption === undefined) {
      for (const request of padded(at, bytes, unitBytes)) yield guest(request);
      return;
    }
    const { encrypt, numberedBy } = encryption;
    const guestAt = this.#l1Index * this.#geometry.l2CoverageBytes + from;
    const own = new Uint8Array(roundUp(bytes.length, Math.max(unitBytes, SECTOR_BYTES)));
    own.set(bytes);
    encrypt(own, (numberedBy === 'host' ? at : guestAt) / SECTOR_BYTES);
    yield guest({ at, bytes: own });
  }

  /** Zeros where nothing is written: where the disk is encrypted, they are, too. */
  *#filling(zeros: Iterable<WriteRequest>): Generator<WriteRequest> {
    const first = this.#places.hostOf(0) ?? 0;
    for (const { at, bytes } of zeros) yield* this.#data(at, at - first, bytes, SECTOR_BYTES);
  }

  /** Takes clusters of the file for guest clusters of the current L2 table. */
  #map(firstCluster: number, clusters: number): number {
    const host = this.#places.hostOf(firstCluster) ?? this.#clusters.append(clusters);
    this.#l2.map(firstCluster, clusters, host);
    return host;
  }

  *#writeZeros(at: number, from: number, clusters: number): Generator<WriteRequest> {
    const end = at + clusters * this.clusterBytes;
    // In a file that had nothing before, the last byte brings all others into being.
    if (this.#hasHoles && this.#options.encryption === undefined) yield* zerosAt(end - 1, end);
    else {
      for (const zeros of zerosAt(at, end)) {
        yield* this.#data(zeros.at, from + zeros.at - at, zeros.bytes, SECTOR_BYTES);
      }
    }
  }

  #placeCompressed(cluster: number, packed: Uint8Array): WriteRequest {
    const isSmaller = packed.length > 0 && packed.length < this.clusterBytes;
    assert(isSmaller, 'a compressed cluster is smaller than a cluster');
    const at = this.#packing.place(packed.length);
    this.#l2.setCompressed(cluster, compressedEntry(at, packed.length, this.#geometry.clusterBits));
    return { at, bytes: packed };
  }

  /** Ends the table that was being filled, and begins another one; with all between them that have to be there. */
  *#turnTo(l1Index: number): Generator<WriteRequest> {
    yield* this.#endL2Table();
    for (; this.#places.mapsAll && this.#nextTable < l1Index; this.#nextTable += 1) {
      this.#beginL2Table(this.#nextTable);
      yield* this.#endL2Table();
    }
    this.#beginL2Table(l1Index);
    this.#nextTable = l1Index + 1;
  }

  *#lastTables(): Generator<WriteRequest> {
    const last = this.#l1.length / 2 - 1;
    if (this.#places.mapsAll && this.#l1Index < last) yield* this.#turnTo(last);
    yield* this.#endL2Table();
  }

  #beginL2Table(l1Index: number): void {
    this.#l1Index = l1Index;
    const clusters = this.#places.begin(l1Index);
    if (this.#places.mapsAll) this.#map(0, clusters);
  }

  /** The table that was being filled goes behind what it maps; a new one is empty. */
  *#endL2Table(): Generator<WriteRequest> {
    if (this.#l1Index === -1) return;
    yield* this.#filling(this.#places.filledToEnd());
    const at = this.#clusters.append(1);
    this.#l1[2 * this.#l1Index] = (COPIED | Math.floor(at / HIGH_WORD)) >>> 0;
    this.#l1[2 * this.#l1Index + 1] = at >>> 0;
    yield { at, bytes: bytesOfWords(this.#l2.words) };
    this.#l2.clear();
    this.#l1Index = -1;
  }
}
