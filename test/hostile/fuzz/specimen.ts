/** A file that may be hostile: some bytes, and zeros for as far as it is long. */
import type { BlockDevice, ByteRange, ReadRequest, WriteRequest } from '../../../src/io/device.js';

/** A file under test. `sizeBytes` is at least as long as `bytes`; what lies behind them is a hole. */
export interface Specimen {
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
}

export function specimenOf(bytes: Uint8Array, sizeBytes = bytes.length): Specimen {
  return { bytes, sizeBytes: Math.max(bytes.length, sizeBytes) };
}

const PAGE_BYTES = 65_536;
/** No edit of a specimen writes more: a bug that does is stopped before it takes the machine. */
const WRITTEN_BYTES_MAX = 1024 * 1024 * 1024;

/** A device over a specimen: what is written lies in pages of its own, the specimen stays as it is. */
export class SpecimenDevice implements BlockDevice {
  readonly label = 'specimen';
  readonly growable = true;
  readBytes = 0;
  readonly #bytes: Uint8Array;
  readonly #pages = new Map<number, Uint8Array>();
  #sizeBytes: number;

  constructor({ bytes, sizeBytes }: Specimen) {
    this.#bytes = bytes;
    this.#sizeBytes = sizeBytes;
  }

  get isWritten(): boolean {
    return this.#pages.size > 0;
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.#sizeBytes);
  }

  readBatch(requests: readonly ReadRequest[]): Promise<void> {
    for (const { at, into } of requests) {
      this.readBytes += into.length;
      this.#read(at, into);
    }
    return Promise.resolve();
  }

  #read(at: number, into: Uint8Array): void {
    const there = this.#bytes.subarray(Math.min(at, this.#bytes.length), at + into.length);
    into.set(there);
    into.fill(0, there.length);
    const last = Math.floor((at + into.length - 1) / PAGE_BYTES);
    if (this.#pages.size > 0) {
      for (let page = Math.floor(at / PAGE_BYTES); page <= last; page++) {
        const bytes = this.#pages.get(page);
        if (bytes === undefined) continue;
        const from = Math.max(at, page * PAGE_BYTES);
        const to = Math.min(at + into.length, (page + 1) * PAGE_BYTES);
        into.set(bytes.subarray(from - page * PAGE_BYTES, to - page * PAGE_BYTES), from - at);
      }
    }
    if (at + into.length > this.#sizeBytes) into.fill(0, Math.max(0, this.#sizeBytes - at));
  }

  writeBatch(requests: readonly WriteRequest[]): Promise<void> {
    for (const { at, bytes } of requests) {
      for (let done = 0; done < bytes.length;) {
        const page = this.#page(Math.floor((at + done) / PAGE_BYTES));
        const from = (at + done) % PAGE_BYTES;
        const part = bytes.subarray(done, done + PAGE_BYTES - from);
        page.set(part, from);
        done += part.length;
      }
      this.#sizeBytes = Math.max(this.#sizeBytes, at + bytes.length);
    }
    return Promise.resolve();
  }

  #page(index: number): Uint8Array {
    const known = this.#pages.get(index);
    if (known !== undefined) return known;
    if (this.#pages.size * PAGE_BYTES > WRITTEN_BYTES_MAX) {
      throw new Error(`more than ${WRITTEN_BYTES_MAX} bytes are written`);
    }
    const page = new Uint8Array(PAGE_BYTES);
    this.#read(index * PAGE_BYTES, page);
    this.#pages.set(index, page);
    return page;
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  async truncate(sizeBytes: number): Promise<void> {
    if (sizeBytes < this.#sizeBytes) await this.#zero(sizeBytes, this.#sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  async punchBatch(ranges: readonly ByteRange[]): Promise<number> {
    let bytes = 0;
    for (const { at, length } of ranges) {
      const end = Math.min(at + length, this.#sizeBytes);
      if (end > at) bytes += end - at;
      await this.#zero(at, end);
    }
    return bytes;
  }

  /** Only what is not zero already: holes may be long. */
  async #zero(from: number, to: number): Promise<void> {
    const last = Math.floor(this.#bytes.length / PAGE_BYTES);
    const pages = [...Array.from({ length: last + 1 }, (_, i) => i), ...this.#pages.keys()];
    for (const index of new Set(pages)) {
      const start = Math.max(from, index * PAGE_BYTES);
      const end = Math.min(to, (index + 1) * PAGE_BYTES);
      if (start >= end) continue;
      await this.writeBatch([{ at: start, bytes: new Uint8Array(end - start) }]);
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Whether both hold the same now. */
  async equals(other: SpecimenDevice): Promise<boolean> {
    if (this.#sizeBytes !== other.#sizeBytes) return false;
    const last = Math.floor(Math.max(this.#bytes.length, other.#bytes.length) / PAGE_BYTES);
    const pages = Array.from({ length: last + 1 }, (_, i) => i);
    const [a, b] = [new Uint8Array(PAGE_BYTES), new Uint8Array(PAGE_BYTES)];
    for (const index of new Set([...pages, ...this.#pages.keys(), ...other.#pages.keys()])) {
      this.#read(index * PAGE_BYTES, a);
      other.#read(index * PAGE_BYTES, b);
      if (Buffer.compare(a, b) !== 0) return false;
    }
    return Promise.resolve(true);
  }

  /** Another device that goes on from here. */
  fork(): SpecimenDevice {
    const other = new SpecimenDevice({ bytes: this.#bytes, sizeBytes: this.#sizeBytes });
    for (const [index, page] of this.#pages) other.#pages.set(index, page.slice());
    return other;
  }
}
