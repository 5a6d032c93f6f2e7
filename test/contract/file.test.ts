import { constants, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openFileSource } from '../../src/node/files/file.js';
import { openFileDevice } from '../../src/node/files/open-for-edit.js';
import { openCalls } from '../../src/node/files/file-calls.js';
import { FileDevice } from '../../src/node/files/file-device.js';
import { temporaryDirectory } from '../support/directories.js';
import { deviceContract, sourceContract } from './device-contract.js';
import { memoryCalls, stingyCalls } from './few-calls.js';

const FILE = { fixedBytes: undefined };

function fileWith(bytes: Uint8Array): string {
  const file = path.join(temporaryDirectory(), 'device.img');
  writeFileSync(file, bytes);
  return file;
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
