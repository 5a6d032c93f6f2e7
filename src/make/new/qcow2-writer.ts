import { assert } from '../../base/assert.js';
import { GiB, MiB, roundUp } from '../../base/units.js';
import { bytesOfWords, HIGH_WORD } from '../../base/words.js';
import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { refuseUsedFile } from '../../io/new-device.js';
import { COPIED } from '../../l1l2/entry.js';
import type { CompressionType } from '../../qcow2/header.js';
import { l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import { encodeFirstCluster } from './first-cluster.js';
import { HostClusters } from './host-clusters.js';
import type { GuestWrite, ImageWriter, NewImageOptions } from './image-writer.js';
import { geometryOfNew } from './new-image.js';
import { NewL2Table } from './new-l2-table.js';
import { compressedEntry, Packing } from './packing.js';
import { appendRefcountArea, refcountWrites } from './refcount-area.js';
import { WriteQueue } from './write-queue.js';

/** One write of this makes the file an image: the medium takes it whole or not at all. */
const FIRST_SECTOR_BYTES = 512;
const SECTOR_BYTES = 512;
const ZEROS = new Uint8Array(MiB);
/** A device is given about so much at a time. */
const BATCH_BYTES = 8 * MiB;
/** The longest stretch that is placed at once: a multiple of every cluster size. */
const PIECE_BYTES = GiB;

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
 * @throws QsnapError NEW_IMAGE_INVALID; OUTPUT_EXISTS for a file that is not empty; WRITE_FAILED, NO_SPACE.
 */
export async function newQcow2Writer(
  device: BlockDevice,
  options: NewImageOptions,
): Promise<ImageWriter> {
  const geometry = geometryOfNew(options);
  // Fails now, and not after hours of copying, if the names don't fit.
  encodeFirstCluster(options, {
    geometry,
    activeL1: { at: 0, entries: 0 },
    refcountTable: { at: 0, clusters: 0 },
  });
  await refuseUsedFile(device, 'a new image');
  const wasEmpty = (await device.sizeBytes()) === 0;
  if (!wasEmpty) {
    await device.writeBatch([{ at: 0, bytes: new Uint8Array(FIRST_SECTOR_BYTES) }]);
    await device.flush();
  }
  return new Qcow2Writer(device, options, geometry, wasEmpty);
}

class Qcow2Writer implements ImageWriter {
  readonly clusterBytes: number;
  readonly unitBytes: number;
  readonly takesCompressed: boolean;
  readonly compressionType: CompressionType;
  readonly #device: BlockDevice;
  readonly #options: NewImageOptions;
  readonly #geometry: Geometry;
  /** What is not written reads as zeros: the file had nothing before. */
  readonly #hasHoles: boolean;
  readonly #clusters: HostClusters;
  /** Where the keys of an encrypted image begin. */
  readonly #keysAt: number;
  readonly #packing: Packing;
  readonly #queue: WriteQueue;
  /** Pairs of words in host order. */
  readonly #l1: Uint32Array;
  /** The L2 table that is being filled, and its index; -1 while there is none. */
  readonly #l2: NewL2Table;
  #l1Index = -1;
  /** Guest offset up to which everything has been given. */
  #givenTo = 0;
  #finished = false;

  constructor(
    device: BlockDevice,
    options: NewImageOptions,
    geometry: Geometry,
    hasHoles: boolean,
  ) {
    this.clusterBytes = geometry.clusterBytes;
    this.compressionType = options.compressionType;
    this.takesCompressed = options.encryption === undefined;
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
  }

  async writeBatch(writes: readonly GuestWrite[]): Promise<void> {
    await this.#queue.inTurn(this.#batches(writes));
  }

  async finish(): Promise<void> {
    assert(!this.#finished, 'an image is finished once');
    this.#finished = true;
    await this.#queue.drain();
    const requests: WriteRequest[] = padded(
      this.#keysAt,
      this.#options.encryption?.keys ?? new Uint8Array(0),
      this.clusterBytes,
    );
    this.#endL2Table(requests);
    const { clusterBytes } = this.#geometry;
    const l1Clusters = Math.ceil((this.#l1.length * 4) / clusterBytes);
    const l1At = l1Clusters === 0 ? 0 : this.#clusters.append(l1Clusters);
    requests.push(...padded(l1At, bytesOfWords(this.#l1), clusterBytes));
    await this.#device.writeBatch(requests);
    const area = appendRefcountArea(this.#clusters, this.#geometry);
    for (const batch of refcountWrites(area, this.#clusters.counts, this.#geometry)) {
      await this.#device.writeBatch(batch);
    }
    const first = encodeFirstCluster(this.#options, {
      geometry: this.#geometry,
      activeL1: { at: l1At, entries: this.#l1.length / 2 },
      refcountTable: { at: area.at, clusters: area.tableClusters },
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

  /** What the writes come to, in batches that are worth a call. Gives places while it goes on. */
  *#batches(writes: readonly GuestWrite[]): Generator<WriteRequest[]> {
    let requests: WriteRequest[] = [];
    let bytes = 0;
    for (const write of writes) {
      for (const piece of piecesOf(this.#checked(write), this.#geometry.l2CoverageBytes)) {
        const before = requests.length;
        this.#place(piece, requests);
        for (const request of requests.slice(before)) bytes += request.bytes.length;
        if (bytes < BATCH_BYTES) continue;
        yield requests;
        requests = [];
        bytes = 0;
      }
    }
    if (requests.length > 0) yield requests;
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
  #place(piece: GuestWrite, requests: WriteRequest[]): void {
    const { version, backing } = this.#options;
    // Nothing is there that would have to be hidden, and no flag to do it with.
    if (piece.kind === 'zero' && version === 2 && backing === undefined) return;
    const { l2CoverageBytes } = this.#geometry;
    const l1Index = Math.floor(piece.at / l2CoverageBytes);
    if (l1Index !== this.#l1Index) this.#endL2Table(requests);
    this.#l1Index = l1Index;
    const from = piece.at - l1Index * l2CoverageBytes;
    if (piece.kind === 'compressed') {
      requests.push(this.#placeCompressed(from / this.clusterBytes, piece.packed));
    } else if (piece.kind === 'data') {
      this.#placeData(from, piece.bytes, requests);
    } else if (version === 3) {
      this.#l2.markZeros(from, from + piece.length);
    } else {
      const clusters = Math.ceil(piece.length / this.clusterBytes);
      this.#writeZeros(this.#map(from / this.clusterBytes, clusters), from, clusters, requests);
    }
  }

  /** @param from from the first byte that the current L2 table maps. */
  #placeData(from: number, bytes: Uint8Array, requests: WriteRequest[]): void {
    const { clusterBytes } = this;
    this.#l2.markData(from, from + bytes.length);
    let cluster = Math.floor(from / clusterBytes);
    let begin = from % clusterBytes;
    let rest = bytes;
    // Other subclusters of the first cluster may have been written before.
    const host = this.#l2.hostOf(cluster);
    if (host !== 0) {
      requests.push(...this.#data(host + begin, from, bytes.subarray(0, clusterBytes - begin)));
      rest = bytes.subarray(clusterBytes - begin);
      cluster += 1;
      begin = 0;
    }
    if (rest.length === 0) return;
    const clusters = Math.ceil((begin + rest.length) / clusterBytes);
    const at = this.#map(cluster, clusters) + begin;
    requests.push(...this.#data(at, cluster * clusterBytes + begin, rest));
  }

  /**
   * Guest data with zeros up to the end of its unit, encrypted where the image is.
   *
   * @param from where it begins, from the first byte that the current L2 table maps.
   */
  #data(at: number, from: number, bytes: Uint8Array, unitBytes = this.unitBytes): WriteRequest[] {
    const { encryption } = this.#options;
    if (encryption === undefined) return padded(at, bytes, unitBytes);
    const { encrypt, numberedBy } = encryption;
    const guestAt = this.#l1Index * this.#geometry.l2CoverageBytes + from;
    const own = new Uint8Array(roundUp(bytes.length, unitBytes));
    own.set(bytes);
    encrypt(own, (numberedBy === 'host' ? at : guestAt) / SECTOR_BYTES);
    return [{ at, bytes: own }];
  }

  /** Takes clusters of the file for guest clusters of the current L2 table. */
  #map(firstCluster: number, clusters: number): number {
    const host = this.#clusters.append(clusters);
    this.#l2.map(firstCluster, clusters, host);
    return host;
  }

  #writeZeros(at: number, from: number, clusters: number, requests: WriteRequest[]): void {
    const length = clusters * this.clusterBytes;
    // In a file that had nothing before, the last byte brings all others into being.
    const isSparse = this.#hasHoles && this.#options.encryption === undefined;
    for (let done = isSparse ? length - 1 : 0; done < length; done += ZEROS.length) {
      const bytes = ZEROS.subarray(0, Math.min(ZEROS.length, length - done));
      if (isSparse) requests.push({ at: at + done, bytes });
      else requests.push(...this.#data(at + done, from + done, bytes, SECTOR_BYTES));
    }
  }

  #placeCompressed(cluster: number, packed: Uint8Array): WriteRequest {
    const isSmaller = packed.length > 0 && packed.length < this.clusterBytes;
    assert(isSmaller, 'a compressed cluster is smaller than a cluster');
    const at = this.#packing.place(packed.length);
    this.#l2.setCompressed(cluster, compressedEntry(at, packed.length, this.#geometry.clusterBits));
    return { at, bytes: packed };
  }

  /** The table that was being filled goes behind what it maps; a new one is empty. */
  #endL2Table(requests: WriteRequest[]): void {
    if (this.#l1Index === -1) return;
    const at = this.#clusters.append(1);
    this.#l1[2 * this.#l1Index] = (COPIED | Math.floor(at / HIGH_WORD)) >>> 0;
    this.#l1[2 * this.#l1Index + 1] = at >>> 0;
    requests.push({ at, bytes: bytesOfWords(this.#l2.words) });
    this.#l2.clear();
    this.#l1Index = -1;
  }
}

/** Guest bytes that a write is about; a compressed one is a cluster, told apart by its caller. */
function lengthOf(write: GuestWrite): number {
  if (write.kind === 'data') return write.bytes.length;
  return write.kind === 'zero' ? write.length : 1;
}

/** The same write cut at the borders of L2 tables, and where a piece would be very long. */
function* piecesOf(write: GuestWrite, l2CoverageBytes: number): Generator<GuestWrite> {
  const step = Math.min(l2CoverageBytes, PIECE_BYTES);
  const { at } = write;
  const end = at + lengthOf(write);
  if (Math.floor(at / step) === Math.floor((end - 1) / step)) {
    if (end > at) yield write;
    return;
  }
  for (let from = at; from < end;) {
    const to = Math.min(end, (Math.floor(from / step) + 1) * step);
    if (write.kind === 'data') {
      yield { kind: 'data', at: from, bytes: write.bytes.subarray(from - at, to - at) };
    } else {
      yield { kind: 'zero', at: from, length: to - from };
    }
    from = to;
  }
}

/** The bytes at their place, with zeros up to the end of the unit. */
function padded(at: number, bytes: Uint8Array, unitBytes: number): WriteRequest[] {
  if (bytes.length === 0) return [];
  const missing = (unitBytes - (bytes.length % unitBytes)) % unitBytes;
  if (missing === 0) return [{ at, bytes }];
  return [
    { at, bytes },
    { at: at + bytes.length, bytes: new Uint8Array(missing) },
  ];
}
