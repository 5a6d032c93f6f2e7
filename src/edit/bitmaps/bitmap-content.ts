import { isZero } from '../../base/bytes.js';
import { clustersToHold } from '../../base/units.js';
import { damagedEntry } from '../../image/damage.js';
import type { OpenImage } from '../../image/image.js';
import { judgeBitmapEntry } from '../../image/judge-bitmaps.js';
import { offsetOf } from '../../l1l2/entry.js';
import type { PersistentBitmap } from '../../qcow2/bitmap-directory.js';
import { visitBitmapEntries } from '../../refs/bitmap-tables.js';
import { fillBits, setRuns } from './set-runs.js';

/** A cluster of bits: where it lies in the image, all of them set, or its bytes. */
export type BitmapCluster = number | 'ones' | Uint8Array;

/** The bits of a bitmap, by clusters; where none is, no bit is set. Bytes are read where they are needed. */
export class BitmapContent {
  readonly clusters = new Map<number, BitmapCluster>();
  readonly bits: number;
  readonly #image: OpenImage;
  readonly #granularityBytes: number;
  readonly #clusterBits: number;

  constructor(
    image: OpenImage,
    granularityBytes: number,
    diskSizeBytes = image.header.diskSizeBytes,
  ) {
    this.#image = image;
    this.#granularityBytes = granularityBytes;
    this.#clusterBits = image.geometry.clusterBytes * 8;
    this.bits = Math.ceil(diskSizeBytes / granularityBytes);
  }

  /** How many entries the table has. QEMU: bits are kept in words of 64. */
  get tableEntries(): number {
    return clustersToHold(Math.ceil(this.bits / 64) * 8, this.#image.geometry.clusterBytes);
  }

  /** @throws QsnapError IMAGE_DAMAGED for a table that names what can't be. */
  static async read(image: OpenImage, bitmap: PersistentBitmap): Promise<BitmapContent> {
    const content = new BitmapContent(image, bitmap.granularityBytes);
    const { geometry, fileSizeBytes } = image;
    await visitBitmapEntries(image, [bitmap], (high, low, at) => {
      const offset = offsetOf(high, low);
      const problem = judgeBitmapEntry(high, low, geometry.clusterBytes);
      if (problem !== undefined) throw damagedEntry('bitmap-table', at, problem, high, low);
      if (offset >= fileSizeBytes) {
        throw damagedEntry('bitmap-table', at, 'past-the-end', high, low);
      }
      content.clusters.set((at - bitmap.table.at) / 8, offset === 0 ? 'ones' : offset);
    });
    return content;
  }

  /** The same bits for a disk of another size; those of what it grows by are clear. */
  async resized(diskSizeBytes: number): Promise<BitmapContent> {
    const other = new BitmapContent(this.#image, this.#granularityBytes, diskSizeBytes);
    const bits = Math.min(this.bits, other.bits);
    const last = Math.floor(bits / this.#clusterBits);
    for (const [index, cluster] of this.clusters) {
      if (index < last) other.clusters.set(index, cluster);
    }
    const end = bits % this.#clusterBits;
    if (end === 0 || !this.clusters.has(last)) return other;
    const bytes = await this.#bytesAt(last);
    fillBits(bytes, end, this.#clusterBits, false);
    if (!isZero(bytes)) other.clusters.set(last, bytes);
    return other;
  }

  /** Sets the bits that stand for guest bytes from `at` up to `end`. */
  async note(at: number, end: number): Promise<void> {
    const last = Math.min(Math.ceil(end / this.#granularityBytes), this.bits);
    await this.#set(Math.floor(at / this.#granularityBytes), last);
  }

  /** Sets each bit that stands for guest bytes of which one is set in `from`, which is of a disk as long. */
  async merge(from: BitmapContent): Promise<void> {
    const isAlike =
      this.#granularityBytes === from.#granularityBytes && this.#clusterBits === from.#clusterBits;
    for (const index of from.clusters.keys()) {
      const bytes = await from.#bytesAt(index);
      if (isAlike) await this.#addBytes(index, bytes);
      else await this.#addRuns(index, bytes, from);
    }
  }

  async #addBytes(index: number, bytes: Uint8Array): Promise<void> {
    const own = await this.#changeable(index);
    for (let i = 0; i < own.length; i++) own[i]! |= bytes[i]!;
  }

  async #addRuns(index: number, bytes: Uint8Array, from: BitmapContent): Promise<void> {
    const scale = from.#granularityBytes / this.#granularityBytes;
    const before = index * from.#clusterBits;
    for (const [first, end] of setRuns(bytes)) {
      const stop = Math.min(Math.ceil((before + end) * scale), this.bits);
      await this.#set(Math.floor((before + first) * scale), stop);
    }
  }

  async #set(first: number, end: number): Promise<void> {
    const perCluster = this.#clusterBits;
    for (let bit = first; bit < end;) {
      const index = Math.floor(bit / perCluster);
      const start = index * perCluster;
      const stop = Math.min(end, start + perCluster);
      if (stop - bit === perCluster) this.clusters.set(index, 'ones');
      else if (this.clusters.get(index) !== 'ones') {
        fillBits(await this.#changeable(index), bit - start, stop - start);
      }
      bit = stop;
    }
  }

  async #changeable(index: number): Promise<Uint8Array> {
    const bytes = await this.#bytesAt(index);
    this.clusters.set(index, bytes);
    return bytes;
  }

  /** The bits of a cluster; those behind the end of the disk are clear. */
  async #bytesAt(index: number): Promise<Uint8Array> {
    const cluster = this.clusters.get(index);
    if (cluster instanceof Uint8Array) return cluster;
    const bytes = new Uint8Array(this.#clusterBits / 8);
    const end = Math.min(this.bits - index * this.#clusterBits, this.#clusterBits);
    if (cluster === 'ones') fillBits(bytes, 0, end);
    else if (cluster !== undefined) {
      await this.#image.source.readBatch([{ at: cluster, into: bytes }]);
      fillBits(bytes, end, this.#clusterBits, false);
    }
    return bytes;
  }
}
