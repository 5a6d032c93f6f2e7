/** A device in memory: for programs that hold the image already, for browsers and for tests. */
import { assert } from '../base/assert.js';
import { QsnapError } from '../errors.js';
import type { BlockDevice, ByteRange, ReadRequest, WriteRequest } from './device.js';
import { mergedRanges } from './batch.js';

export interface MemoryOptions {
  /** The medium is full at this length; unlimited by default. */
  readonly capacityBytes?: number;
  /** False behaves as a block device does: the length is fixed. */
  readonly growable?: boolean;
}

export interface MemoryDevice extends BlockDevice {
  /** A copy of all bytes as they are now. */
  snapshotBytes(): Uint8Array;
}

/**
 * A device that starts as a copy of `bytes`; the caller's array is never changed.
 *
 * Growth is amortised: the memory doubles, and only `sizeBytes` of it are the file.
 *
 * ```ts
 * const device = memoryDevice(bytes);
 * await using image = await openQcow(device);
 * await image.create('in memory');
 * const edited = device.snapshotBytes(); // a copy of the file as it is now
 * ```
 *
 * @param label what errors call it.
 */
export function memoryDevice(
  bytes: Uint8Array = new Uint8Array(0),
  label = 'memory',
  options: MemoryOptions = {},
): MemoryDevice {
  return new Memory(bytes, label, options);
}

class Memory implements MemoryDevice {
  readonly label: string;
  readonly growable: boolean;
  readonly #capacityBytes: number;
  /** At least as long as the file; what lies past the end of the file is zero. */
  #memory: Uint8Array;
  #sizeBytes: number;
  #open = true;

  constructor(bytes: Uint8Array, label: string, options: MemoryOptions) {
    this.label = label;
    this.growable = options.growable ?? true;
    this.#capacityBytes = options.capacityBytes ?? Infinity;
    this.#memory = bytes.slice();
    this.#sizeBytes = bytes.length;
  }

  sizeBytes(): Promise<number> {
    return this.#do(() => this.#sizeBytes);
  }

  readBatch(requests: readonly ReadRequest[]): Promise<void> {
    return this.#do(() => {
      for (const { at, into } of requests) {
        const end = Math.min(at + into.length, this.#sizeBytes);
        const there = this.#memory.subarray(Math.min(at, end), end);
        into.set(there);
        into.fill(0, there.length);
      }
    });
  }

  writeBatch(requests: readonly WriteRequest[]): Promise<void> {
    return this.#do(() => {
      for (const { at, bytes } of requests) {
        if (bytes.length === 0) continue;
        this.#growTo(at + bytes.length);
        this.#memory.set(bytes, at);
      }
    });
  }

  flush(): Promise<void> {
    return this.#do(() => undefined);
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#do(() => {
      if (sizeBytes > this.#sizeBytes) {
        this.#growTo(sizeBytes);
        return;
      }
      if (sizeBytes < this.#sizeBytes && !this.growable) {
        throw new QsnapError('WRITE_FAILED', `The size of ${this.label} is fixed`, {
          file: this.label,
        });
      }
      this.#memory.fill(0, sizeBytes, this.#sizeBytes);
      this.#sizeBytes = sizeBytes;
    });
  }

  punchBatch(ranges: readonly ByteRange[]): Promise<number> {
    return this.#do(() => {
      let givenBack = 0;
      for (const { at, length } of mergedRanges(ranges)) {
        const end = Math.min(at + length, this.#sizeBytes);
        if (end <= at) continue;
        this.#memory.fill(0, at, end);
        givenBack += end - at;
      }
      return givenBack;
    });
  }

  close(): Promise<void> {
    this.#open = false;
    this.#memory = new Uint8Array(0);
    this.#sizeBytes = 0;
    return Promise.resolve();
  }

  lostHold(): 'closed' | undefined {
    return this.#open ? undefined : 'closed';
  }

  snapshotBytes(): Uint8Array {
    return this.#memory.slice(0, this.#sizeBytes);
  }

  /** Runs at once; an error becomes a rejection, as with every other device. */
  #do<T>(work: () => T): Promise<T> {
    return new Promise((resolve) => {
      assert(this.#open, 'a closed device is not used');
      resolve(work());
    });
  }

  #growTo(sizeBytes: number): void {
    if (sizeBytes <= this.#sizeBytes) return;
    const limit = this.growable ? this.#capacityBytes : this.#sizeBytes;
    if (sizeBytes > limit) throw this.#full(sizeBytes - limit);
    if (sizeBytes > this.#memory.length) {
      const doubled = Math.min(this.#memory.length * 2, limit);
      this.#memory = this.#larger(Math.max(sizeBytes, doubled), sizeBytes);
    }
    this.#sizeBytes = sizeBytes;
  }

  #larger(wanted: number, needed: number): Uint8Array {
    for (const length of [wanted, needed]) {
      try {
        const memory = new Uint8Array(length);
        memory.set(this.#memory.subarray(0, this.#sizeBytes));
        return memory;
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
    throw this.#full(needed - this.#sizeBytes);
  }

  #full(bytesNeeded: number): QsnapError {
    const message = `There is no room in ${this.label}: ${bytesNeeded} more bytes are needed`;
    return new QsnapError('NO_SPACE', message, { file: this.label, bytesNeeded });
  }
}
