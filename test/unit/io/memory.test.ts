import { expect, test } from 'vitest';
import { memoryDevice } from '../../../src/io/memory.js';
import { cpuMilliseconds } from '../../support/cpu-time.js';

test("the caller's bytes are never changed, and a snapshot is a copy", async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const device = memoryDevice(bytes, 'disk');
  expect(device.label).toBe('disk');
  await device.writeBatch([{ at: 0, bytes: Uint8Array.of(9) }]);
  expect(bytes).toEqual(Uint8Array.of(1, 2, 3));
  const snapshot = device.snapshotBytes();
  await device.writeBatch([{ at: 1, bytes: Uint8Array.of(8) }]);
  expect(snapshot).toEqual(Uint8Array.of(9, 2, 3));
});

test('a full medium says how much is missing, and keeps what it has', async () => {
  const device = memoryDevice(new Uint8Array(10), 'disk', { capacityBytes: 100 });
  await device.writeBatch([{ at: 50, bytes: new Uint8Array(50) }]);
  const full = { code: 'NO_SPACE', details: { file: 'disk', bytesNeeded: 7 } };
  const writing = device.writeBatch([{ at: 100, bytes: new Uint8Array(7) }]);
  await expect(writing).rejects.toMatchObject(full);
  await expect(device.truncate(107)).rejects.toMatchObject(full);
  expect(await device.sizeBytes()).toBe(100);
});

test('a device of fixed size neither grows nor shrinks', async () => {
  const device = memoryDevice(new Uint8Array(10), 'disk', { growable: false });
  expect(device.growable).toBe(false);
  await device.truncate(10);
  await device.writeBatch([{ at: 0, bytes: new Uint8Array(10) }]);
  const writing = device.writeBatch([{ at: 8, bytes: new Uint8Array(5) }]);
  await expect(writing).rejects.toMatchObject({ code: 'NO_SPACE', details: { bytesNeeded: 3 } });
  await expect(device.truncate(11)).rejects.toMatchObject({ code: 'NO_SPACE' });
  await expect(device.truncate(9)).rejects.toMatchObject({ code: 'WRITE_FAILED' });
});

test('more than memory can hold is no space, not a crash', async () => {
  const device = memoryDevice(Uint8Array.of(1));
  await expect(device.truncate(2 ** 52)).rejects.toMatchObject({ code: 'NO_SPACE' });
  expect(device.snapshotBytes()).toEqual(Uint8Array.of(1));
});

test('cut bytes do not come back when the file grows again', async () => {
  const device = memoryDevice(new Uint8Array(100).fill(7));
  await device.truncate(10);
  await device.writeBatch([{ at: 50, bytes: Uint8Array.of(1) }]);
  const expected = new Uint8Array(51);
  expected.fill(7, 0, 10);
  expected[50] = 1;
  expect(device.snapshotBytes()).toEqual(expected);
});

test('growing byte by byte is not quadratic', async () => {
  const device = memoryDevice();
  const begin = cpuMilliseconds();
  for (let at = 0; at < 100_000; at += 1) {
    await device.writeBatch([{ at, bytes: Uint8Array.of(at & 0xff) }]);
  }
  expect(await device.sizeBytes()).toBe(100_000);
  // Copying the file for each byte would move 5 GB.
  expect(cpuMilliseconds() - begin).toBeLessThan(3000);
});
