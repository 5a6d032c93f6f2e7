/** Reads of bytes that the system has in memory, without the way through other threads. */
import { readSync, readvSync } from 'node:fs';

/** A larger read gains more from another thread than the way there costs. */
const AT_ONCE_BYTES_MAX = 256 * 1024;

/**
 * Bytes that are read at once in a row. While nobody waits for another thread the program sees no signal and no
 * timer: nothing could stop it.
 */
const IN_A_ROW_BYTES = 4 * 1024 * 1024;

/** Reads at once before one looks whether the disk had to do with them. */
const READS_A_LOOK = 8;

/** Reads that go to other threads where it had. */
const READS_ELSEWHERE = 64;

/**
 * Decides for one file how it is read. Bytes in the page cache are copied in less time than it takes to
 * ask another thread for them. But a disk should have several reads to do at a time: where it was
 * needed, reads go to other threads for a while. Where the system does not count what disks read (some
 * network file systems), reads wait for each other.
 */
export class ReadAtOnce {
  readonly #diskReads: () => number;
  #before: number | undefined;
  #untilLook = READS_A_LOOK;
  #elsewhere = 0;
  #inARowBytes = 0;

  /** @param diskReads counts what disks have read for this process: it grows or does not. */
  constructor(diskReads = (): number => process.resourceUsage().fsRead) {
    this.#diskReads = diskReads;
  }

  /**
   * The number of bytes, 0 at the end of the file; undefined where another thread is to read.
   *
   * @throws the system's error.
   */
  read(fd: number, into: readonly Uint8Array[], at: number): number | undefined {
    const wanted = into.reduce((sum, { length }) => sum + length, 0);
    if (wanted > AT_ONCE_BYTES_MAX || this.#inARowBytes >= IN_A_ROW_BYTES) {
      this.#inARowBytes = 0;
      return undefined;
    }
    if (this.#elsewhere > 0) {
      this.#elsewhere -= 1;
      this.#inARowBytes = 0;
      return undefined;
    }
    this.#inARowBytes += wanted;
    this.#before ??= this.#diskReads();
    const only = into.length === 1 ? into[0]! : undefined;
    const bytes =
      only === undefined ? readvSync(fd, into, at) : readSync(fd, only, 0, only.length, at);
    this.#untilLook -= 1;
    if (this.#untilLook === 0) this.#look();
    return bytes;
  }

  #look(): void {
    this.#untilLook = READS_A_LOOK;
    if (this.#diskReads() !== this.#before) {
      this.#elsewhere = READS_ELSEWHERE;
      this.#before = undefined;
    }
  }
}
