import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { openFileDevice, openFileSource } from '../../src/io/node/file.js';
import { fileCalls } from '../../src/io/node/file-calls.js';
import type { FileCalls } from '../../src/io/node/file-calls.js';
import { FileDevice } from '../../src/io/node/file-device.js';
import { temporaryDirectory } from '../support/qemu.js';
import { deviceContract, sourceContract } from './device-contract.js';

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

async function stingyDevice(bytes: Uint8Array, most: number): Promise<FileDevice> {
  const handle = await open(fileWith(bytes), 'r+');
  return new FileDevice('stingy', stingyCalls(fileCalls(handle), most), { fixedBytes: undefined });
}

sourceContract('node file, read-only', (bytes) => openFileSource(fileWith(bytes)));
deviceContract('node file', (bytes) => openFileDevice(fileWith(bytes)));
deviceContract('one byte a call', (bytes) => stingyDevice(bytes, 1), {
  runs: 5,
  largeBytes: 30_000,
});
deviceContract('part of a buffer a call', (bytes) => stingyDevice(bytes, 777), {
  runs: 30,
  largeBytes: 500_000,
});
