/** Calls of a file that do less than they are asked for, or never reach a file. */
import { memoryDevice } from '../../src/io/memory.js';
import type { FileCalls } from '../../src/node/files/file-calls.js';

/** A file whose every call does as little as the system may: part of one buffer. */
export function stingyCalls(calls: FileCalls, most: number): FileCalls {
  const little = (buffers: readonly Uint8Array[]) => [buffers[0]!.subarray(0, most)];
  return {
    ...calls,
    read: (into, at) => calls.read(little(into), at),
    write: (from, at) => calls.write(little(from), at),
  };
}

/** A file in memory, for as many calls as it takes. */
export function memoryCalls(bytes: Uint8Array): FileCalls {
  const memory = memoryDevice(bytes);
  return {
    fd: -1,
    async read(into, at) {
      const count = Math.min(into[0]!.length, Math.max(0, (await memory.sizeBytes()) - at));
      await memory.readBatch([{ at, into: into[0]!.subarray(0, count) }]);
      return count;
    },
    async write(from, at) {
      await memory.writeBatch([{ at, bytes: from[0]! }]);
      return from[0]!.length;
    },
    stat: async () => ({ size: await memory.sizeBytes(), blocks: 0 }),
    datasync: () => memory.flush(),
    sync: () => memory.flush(),
    truncate: (sizeBytes) => memory.truncate(sizeBytes),
    punch: async (at, length) => (await memory.punchBatch([{ at, length }])) > 0,
    seek: () => undefined,
    close: () => memory.close(),
  };
}
