import { constants, writeFileSync } from 'node:fs';
import path from 'node:path';
import { memoryDevice } from '../../src/io/memory.js';
import { openFileDevice, openFileSource } from '../../src/io/node/file.js';
import { openCalls } from '../../src/io/node/file-calls.js';
import type { FileCalls } from '../../src/io/node/file-calls.js';
import { FileDevice } from '../../src/io/node/file-device.js';
import { temporaryDirectory } from '../support/directories.js';
import { deviceContract, sourceContract } from './device-contract.js';

const FILE = { fixedBytes: undefined };

function fileWith(bytes: Uint8Array): string {
  const file = path.join(temporaryDirectory(), 'device.img');
  writeFileSync(file, bytes);
  return file;
}

/** A file whose every call does as little as the system may: part of one buffer. */
function stingyCalls(calls: FileCalls, most: number): FileCalls {
  const little = (buffers: readonly Uint8Array[]) => [buffers[0]!.subarray(0, most)];
  return {
    ...calls,
    read: (into, at) => calls.read(little(into), at),
    write: (from, at) => calls.write(little(from), at),
  };
}

/** A file in memory, for as many calls as it takes. */
function memoryCalls(bytes: Uint8Array): FileCalls {
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

function byteByByte(bytes: Uint8Array): FileDevice {
  return new FileDevice('byte by byte', stingyCalls(memoryCalls(bytes), 1), FILE);
}

async function pieceByPiece(bytes: Uint8Array): Promise<FileDevice> {
  const calls = await openCalls(fileWith(bytes), constants.O_RDWR);
  return new FileDevice('piece by piece', stingyCalls(calls, 777), FILE);
}

sourceContract('node file, read-only', (bytes) => openFileSource(fileWith(bytes)));
deviceContract('node file', (bytes) => openFileDevice(fileWith(bytes)));
deviceContract('one byte a call', (bytes) => Promise.resolve(byteByByte(bytes)), {
  runs: 20,
  largeBytes: 40_000,
});
deviceContract('part of a buffer a call', pieceByPiece, { runs: 30, largeBytes: 500_000 });
