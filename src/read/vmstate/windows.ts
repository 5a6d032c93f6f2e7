import { MiB } from '../../base/units.js';
import { newIoBytes } from '../../base/io-bytes.js';
import { VMSTATE_LIMITS } from '../../vmstate/limits.js';
import type { Window } from '../../vmstate/window.js';
import type { VmStateSource } from './source.js';

/** Bytes of the stream that are read at a time. */
const READ_BYTES = 4 * MiB;
/** What one record can leave over. */
const REST_BYTES = 64 * 1024;
/** A small file may have a stream of some zeros. */
const LEAST_BYTES_MAX = 64 * MiB;

/** Bytes of a stream that are read: more than the file can hold is none of it. */
export function streamBudget({ fileSizeBytes }: VmStateSource): number {
  return Math.max(LEAST_BYTES_MAX, fileSizeBytes * VMSTATE_LIMITS.bytesForEachOfFile);
}

/** Moves a window over a stream. The bytes of the window before stay as they are until it moves once more. */
export class Windows {
  readonly #source: VmStateSource;
  #memory: Uint8Array;
  #other: Uint8Array | undefined;
  #base: number;
  #filled = 0;
  #budget: number;

  constructor(source: VmStateSource, from = 0) {
    this.#source = source;
    this.#base = from;
    const bytes = Math.max(0, Math.min(READ_BYTES + REST_BYTES, source.mappedBytes - from));
    this.#memory = newIoBytes(bytes);
    this.#budget = streamBudget(source);
  }

  get window(): Window {
    return { bytes: this.#memory.subarray(0, this.#filled), base: this.#base };
  }

  /**
   * Goes on to `position` and fills up behind it.
   *
   * @returns whether there are more bytes than before: not at the end of what is mapped, nor where the stream is longer
   *   than the file can hold.
   */
  async moveTo(position: number): Promise<boolean> {
    const kept = Math.max(0, this.#base + this.#filled - position);
    if (this.#filled > 0) {
      const before = this.#memory;
      this.#memory = this.#other ?? newIoBytes(before.length);
      this.#other = before;
      this.#memory.set(before.subarray(this.#filled - kept, this.#filled));
    }
    this.#base = position;
    this.#filled = kept;
    const left = this.#source.mappedBytes - position - kept;
    const bytes = Math.min(this.#memory.length - kept, READ_BYTES, left, this.#budget);
    if (bytes <= 0) return false;
    await this.#source.readBatch([
      { at: position + kept, into: this.#memory.subarray(kept, kept + bytes) },
    ]);
    this.#filled += bytes;
    this.#budget -= bytes;
    return true;
  }
}
