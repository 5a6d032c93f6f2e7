/** Chooses how a file is read: at once where its bytes are in memory, in other threads where a disk has to be waited for. */
import { readSync, readvSync } from 'node:fs';

/** A larger read gains more from another thread than the way there costs. */
const AT_ONCE_BYTES = 256 * 1024;

/** What a read of bytes in memory takes at most: a call, and the copy. */
const CALL_MS = 0.1;
const BYTE_MS = 1.5e-6;

/** Reads that other threads do after one that was waited for. */
const READS_ELSEWHERE = 64;

/**
 * Whether the next read is to be made at once, in this thread. For bytes in the page cache that takes
 * about half the time; but the disk should have several reads to do. So one that took longer than a
 * copy from memory sends those after it to other threads for a while.
 */
export class ReadPace {
  readonly #now: () => number;
  #elsewhere = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The bytes that were read at once, or undefined where other threads are to read. */
  readAtOnce(fd: number, into: readonly Uint8Array[], at: number): number | undefined {
    const wanted = into.reduce((sum, { length }) => sum + length, 0);
    if (wanted > AT_ONCE_BYTES) return undefined;
    if (this.#elsewhere > 0) {
      this.#elsewhere -= 1;
      return undefined;
    }
    const start = this.#now();
    const only = into.length === 1 ? into[0]! : undefined;
    const bytes =
      only === undefined ? readvSync(fd, into, at) : readSync(fd, only, 0, only.length, at);
    if (this.#now() - start > CALL_MS + wanted * BYTE_MS) this.#elsewhere = READS_ELSEWHERE;
    return bytes;
  }
}
