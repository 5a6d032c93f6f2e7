/**
 * The system calls that a file device makes, as an interface: tests put their own file behind it.
 *
 * Over Node's calls with a callback: its module of promises takes 3 ms to load, of 50 that a small image
 * takes in all, and half as long again for every call.
 */
import {
  close,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  open,
  read,
  readv,
  write,
  writev,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { promisify } from 'node:util';
import { assert } from '../../base/assert.js';
import { nativeFiles } from './native.js';
import { ReadAtOnce } from './read-at-once.js';
import { seekIn, type Seek } from './seek.js';

/** What is asked about an open file: `blocks` is its room on the medium in units of 512 bytes. */
export type FileStatus = Pick<Stats, 'size' | 'blocks'>;

/** One open file. Reads and writes may be short, as in the system. */
export interface FileCalls {
  /** The descriptor; -1 once it is closed. */
  readonly fd: number;
  /** Fills the buffers from `at` on; resolves to the number of bytes, 0 at the end of the file. */
  read(into: readonly Uint8Array[], at: number): Promise<number>;
  /** Writes the buffers from `at` on; resolves to the number of bytes taken. */
  write(from: readonly Uint8Array[], at: number): Promise<number>;
  stat(): Promise<FileStatus>;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  /** Gives a range back to the host; false where there is no call for that. */
  punch(at: number, length: number): Promise<boolean>;
  /** Finds data and holes, at once: no thread is asked. */
  readonly seek: Seek;
  /** Waits for the calls that are under way. Nothing may be called afterwards. */
  close(): Promise<void>;
}

/** The calls of a file of Node's. */
export interface NodeFileCalls extends FileCalls {
  stat(): Promise<Stats>;
}

const calls = {
  open: promisify(open),
  read: promisify(read),
  readv: promisify(readv),
  write: promisify(write),
  writev: promisify(writev),
  fstat: promisify<number, Stats>(fstat),
  fdatasync: promisify(fdatasync),
  fsync: promisify(fsync),
  ftruncate: promisify(ftruncate),
  close: promisify(close),
};

/**
 * Opens a file.
 *
 * @param flags as for `open` of the system.
 * @param mode permission bits of a file that is made, of which the umask takes its part.
 * @throws the system's error.
 */
export async function openCalls(
  path: string,
  flags: number,
  mode?: number,
): Promise<NodeFileCalls> {
  return callsOf(await calls.open(path, flags, mode));
}

/**
 * Closes a file that is not needed any more, and ignores a failure. The system gives the descriptor back all the same,
 * nothing that was flushed is lost, and the caller may already have an error that says more.
 */
export async function closeQuietly(file: Pick<FileCalls, 'close'> | undefined): Promise<void> {
  await file?.close().catch(() => undefined);
}

function callsOf(opened: number): NodeFileCalls {
  const reads = new ReadAtOnce();
  const underWay = new UnderWay();
  // The system gives the number to another file once it is closed: no call may have it then.
  let fd = opened;
  const during = <T>(call: (fd: number) => Promise<T>): Promise<T> => {
    assert(fd >= 0, 'the file is open');
    return underWay.until(call(fd));
  };
  return {
    get fd() {
      return fd;
    },
    async read(into, at) {
      const bytes = reads.read(fd, into, at);
      if (bytes !== undefined) return bytes;
      if (into.length > 1) return (await during((fd) => calls.readv(fd, into, at))).bytesRead;
      const only = into[0]!;
      return (await during((fd) => calls.read(fd, only, 0, only.length, at))).bytesRead;
    },
    async write(from, at) {
      if (from.length > 1) return (await during((fd) => calls.writev(fd, from, at))).bytesWritten;
      const only = from[0]!;
      return (await during((fd) => calls.write(fd, only, 0, only.length, at))).bytesWritten;
    },
    stat: () => during(calls.fstat),
    datasync: () => during(calls.fdatasync),
    sync: () => during(calls.fsync),
    truncate: (sizeBytes) => during((fd) => calls.ftruncate(fd, sizeBytes)),
    async punch(at, length) {
      const native = await nativeFiles();
      if (native === undefined) return false;
      await during((fd) => native.trim(fd, at, length));
      return true;
    },
    seek(what, at) {
      assert(fd >= 0, 'the file is open');
      return seekIn(fd, what, at);
    },
    async close() {
      if (fd === -1) return;
      const last = fd;
      fd = -1;
      await underWay.over();
      await calls.close(last);
    },
  };
}

/** Counts the calls of a file that have not come back. */
class UnderWay {
  #count = 0;
  #onOver: (() => void) | undefined;

  async until<T>(call: Promise<T>): Promise<T> {
    this.#count += 1;
    try {
      return await call;
    } finally {
      this.#count -= 1;
      if (this.#count === 0) this.#onOver?.();
    }
  }

  /** Resolves when none is left. Nobody begins one any more. */
  async over(): Promise<void> {
    if (this.#count > 0) await new Promise<void>((resolve) => (this.#onOver = resolve));
  }
}
