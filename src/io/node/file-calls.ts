/** The system calls that a file device makes, as an interface: tests put their own file behind it. */
import type { FileHandle } from 'node:fs/promises';
import { nativeFiles } from './native.js';
import { ReadAtOnce } from './read-at-once.js';

/** What is asked about an open file. */
export interface FileStatus {
  readonly size: number;
  /** Room on the medium in units of 512 bytes. */
  readonly blocks: number;
}

/** One open file. Reads and writes may be short, as in the system. */
export interface FileCalls {
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
  close(): Promise<void>;
}

/** The calls of an open file of Node's. */
export function fileCalls(handle: FileHandle): FileCalls {
  const reads = new ReadAtOnce();
  return {
    fd: handle.fd,
    async read(into, at) {
      const bytes = reads.read(handle.fd, into, at);
      if (bytes !== undefined) return bytes;
      if (into.length > 1) return (await handle.readv(into, at)).bytesRead;
      const only = into[0]!;
      return (await handle.read(only, 0, only.length, at)).bytesRead;
    },
    async write(from, at) {
      if (from.length > 1) return (await handle.writev([...from], at)).bytesWritten;
      const only = from[0]!;
      return (await handle.write(only, 0, only.length, at)).bytesWritten;
    },
    stat: () => handle.stat(),
    datasync: () => handle.datasync(),
    sync: () => handle.sync(),
    truncate: (sizeBytes) => handle.truncate(sizeBytes),
    async punch(at, length) {
      const native = await nativeFiles();
      if (native === undefined) return false;
      await native.trim(handle.fd, at, length);
      return true;
    },
    close: () => handle.close(),
  };
}
