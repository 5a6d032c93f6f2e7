import { storedWords } from '../../base/words.js';
import { SECTION, STREAM_MAGIC, STREAM_VERSION } from '../../vmstate/stream.js';
import { decodeRefcounts } from '../../refcount/block.js';
import type { Scan } from '../../l1l2/scan.js';
import { ClusterLooks, type ClusterContents } from './cluster-looks.js';

/** Of each kind of place that only a scan looks for, no more are kept. */
const PLACES_MAX = 65_536;
/** A block with fewer clusters in use tells nothing. */
const REFCOUNTS_MIN = 4;
/** How the description of devices begins at the end of a stream, behind its first brace. */
const DESCRIPTION = new TextEncoder().encode('"page_size": ');
const LAST = DESCRIPTION.length - 1;
/** By the byte where these words may end: how much further they may end next. Most bytes are in none of them. */
const SKIPS = new Uint8Array(256).fill(DESCRIPTION.length);
for (const [i, byte] of DESCRIPTION.subarray(0, LAST).entries()) SKIPS[byte] = LAST - i;

/** What clusters hold that nothing refers to. */
export interface RemainsContents extends ClusterContents {
  /** Host offsets of clusters that begin as a VM state does. */
  readonly streams: readonly number[];
  /** Host offsets of the words that the description at the end of a VM state begins with. */
  readonly descriptions: readonly number[];
  /** Host offsets of clusters that may be refcount blocks. */
  readonly refcountBlocks: readonly number[];
  /** Bytes of clusters that are not zeros. */
  readonly dataBytes: number;
}

/** Looks at clusters that nothing refers to, in ascending order. */
export class RemainsLooks {
  readonly #looks: ClusterLooks;
  readonly #clusterBytes: number;
  readonly #refcountBits: number;
  readonly #fileSizeBytes: number;
  readonly #streams: number[] = [];
  readonly #descriptions: number[] = [];
  readonly #refcountBlocks: number[] = [];
  readonly #counts: Uint32Array;
  /** By the parity of a word: its bytes that are not the lowest of a refcount. */
  readonly #highBytes: Uint32Array;
  #dataBytes = 0;

  constructor(scan: Scan, fileSizeBytes: number) {
    const { clusterBytes, refcountBits, refcountBlockEntries } = scan.format.geometry;
    this.#looks = new ClusterLooks(scan, fileSizeBytes);
    this.#clusterBytes = clusterBytes;
    this.#fileSizeBytes = fileSizeBytes;
    this.#refcountBits = refcountBits;
    this.#counts = new Uint32Array(refcountBlockEntries);
    const high = Uint8Array.from({ length: 8 }, (_, i) =>
      (i + 1) % (refcountBits / 8) === 0 ? 0 : 0xff,
    );
    this.#highBytes = storedWords(high);
  }

  /** @param bytes whole clusters from `at` on. */
  lookAt(bytes: Uint8Array, at: number): void {
    this.#looks.lookAt(bytes, at);
    const stored = storedWords(bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let offset = 0; offset < bytes.length; offset += this.#clusterBytes) {
      if (this.#looks.isZero((at + offset) / this.#clusterBytes)) continue;
      this.#dataBytes += Math.min(this.#clusterBytes, this.#fileSizeBytes - at - offset);
      if (isStream(view, offset)) add(this.#streams, at + offset);
      else if (this.#mayHoldRefcounts(stored, bytes, offset))
        add(this.#refcountBlocks, at + offset);
    }
    this.#lookForDescriptions(bytes, at);
  }

  /** Clusters that read as zeros, and were not read: holes of the file. */
  skipZeros(first: number, end: number): void {
    this.#looks.skipZeros(first, end);
  }

  finish(): RemainsContents {
    return {
      ...this.#looks.finish(),
      streams: this.#streams,
      descriptions: this.#descriptions,
      refcountBlocks: this.#refcountBlocks,
      dataBytes: this.#dataBytes,
    };
  }

  /** Whether all of a cluster are refcounts that an image may have. */
  #mayHoldRefcounts(stored: Uint32Array, bytes: Uint8Array, offset: number): boolean {
    // Packed refcounts can't be told from anything else by their values.
    if (this.#refcountBits < 8) return false;
    if (!this.#areLow(stored, offset / 4)) return false;
    const cluster = bytes.subarray(offset, offset + this.#clusterBytes);
    const counts = this.#counts;
    decodeRefcounts(cluster, this.#refcountBits, counts);
    return counts.reduce((used, count) => used + (count === 0 ? 0 : 1), 0) >= REFCOUNTS_MIN;
  }

  /**
   * Whether no refcount of a cluster is above 255, as hardly one is in an image: all of its other bytes are zeros. Most
   * guest data ends it soon.
   */
  #areLow(stored: Uint32Array, from: number): boolean {
    const mask = this.#highBytes;
    const end = from + this.#clusterBytes / 4;
    for (let i = from; i < end; i += 1) if ((stored[i]! & mask[i & 1]!) !== 0) return false;
    return true;
  }

  #lookForDescriptions(bytes: Uint8Array, at: number): void {
    const end = DESCRIPTION[LAST]!;
    for (let p = LAST; p < bytes.length;) {
      const byte = bytes[p]!;
      if (byte === end && isDescription(bytes, p - LAST)) add(this.#descriptions, at + p - LAST);
      p += SKIPS[byte]!;
    }
  }
}

function add(places: number[], at: number): void {
  if (places.length < PLACES_MAX) places.push(at);
}

function isDescription(bytes: Uint8Array, at: number): boolean {
  return DESCRIPTION.every((byte, i) => bytes[at + i] === byte);
}

function isStream(view: DataView, offset: number): boolean {
  return (
    view.getUint32(offset) === STREAM_MAGIC &&
    view.getUint32(offset + 4) === STREAM_VERSION &&
    view.getUint8(offset + 8) === SECTION.configuration
  );
}
