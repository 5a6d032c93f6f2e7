import { expect, test } from 'vitest';
import { newRawWriter, newStreamWriter } from '../../../../src/index.js';
import { memoryDevice } from '../../../../src/io/memory.js';

const one = new Uint8Array(512).fill(1);
const disk = new Uint8Array(5000);
disk.set(one, 1024);
disk.set(one, 2048);
const writes = [
  { kind: 'zero', at: 0, length: 512 },
  { kind: 'data', at: 1024, bytes: one },
  { kind: 'data', at: 2048, bytes: one },
] as const;

test.each([
  ['an empty file', memoryDevice()],
  ['a block device', memoryDevice(new Uint8Array(8192).fill(9), 'disk', { growable: false })],
])('%s', async (_, device) => {
  const writer = await newRawWriter(device, 5000);
  await Promise.all([writer.writeBatch(writes.slice(0, 2)), writer.writeBatch(writes.slice(2))]);
  await writer.finish();
  expect(device.snapshotBytes().subarray(0, 5000)).toEqual(disk);
});

test('a stream gets zeros for what is not written', async () => {
  const sent: number[] = [];
  const writer = newStreamWriter(
    { write: (bytes) => Promise.resolve(void sent.push(...bytes)) },
    5000,
  );
  await Promise.all([writer.writeBatch(writes.slice(0, 2)), writer.writeBatch(writes.slice(2))]);
  await writer.finish();
  expect(Uint8Array.from(sent)).toEqual(disk);
});

test('a stream that failed takes nothing more', async () => {
  const writer = newStreamWriter({ write: () => Promise.reject(new Error('closed')) }, 5000);
  await expect(writer.writeBatch(writes)).rejects.toThrow('closed');
  await expect(writer.finish()).rejects.toThrow('closed');
});

test('backwards, compressed, or past the end', async () => {
  const writer = await newRawWriter(memoryDevice(), 1024);
  await writer.writeBatch([{ kind: 'data', at: 512, bytes: one }]);
  await expect(writer.writeBatch([{ kind: 'data', at: 0, bytes: one }])).rejects.toThrow(
    /ascending/,
  );
  const other = await newRawWriter(memoryDevice(), 1024);
  await expect(other.writeBatch([{ kind: 'compressed', at: 0, packed: one }])).rejects.toThrow(
    /compressed/,
  );
});
