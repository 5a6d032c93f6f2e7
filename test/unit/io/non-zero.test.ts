import { expect, test } from 'vitest';
import type { BlockSource, ByteRange } from '../../../src/io/device.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { nonZeroIn } from '../../../src/io/non-zero.js';
import { recordingDevice } from '../../support/recording-device.js';

async function sectorsIn(
  source: BlockSource,
  ranges: readonly ByteRange[],
): Promise<readonly ByteRange[]> {
  const found: ByteRange[] = [];
  for await (const { sectors } of nonZeroIn(source, ranges)) found.push(...sectors);
  return found;
}

function fileWith(length: number, ...places: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const at of places) bytes[at] = 1;
  return bytes;
}

test('sectors are those of the file, joined, and cut where the range begins and ends', async () => {
  const source = memoryDevice(fileWith(4096, 99, 100, 600, 1100, 2100, 3000));
  expect(await sectorsIn(source, [{ at: 100, length: 2900 }])).toEqual([
    { at: 100, length: 1436 },
    { at: 2048, length: 512 },
  ]);
  expect(await sectorsIn(source, [{ at: 101, length: 400 }])).toEqual([]);
  expect(await sectorsIn(source, [])).toEqual([]);
});

test('many ranges, read in few calls', async () => {
  const file = fileWith(4096 * 512, ...Array.from({ length: 4096 }, (_, i) => i * 512 + (i % 512)));
  const device = recordingDevice(file);
  const ranges = Array.from({ length: 2048 }, (_, i) => ({ at: i * 1024, length: 512 }));
  expect(await sectorsIn(device, ranges)).toEqual(ranges);
  expect(device.calls).toBe(2);
});

test('long ranges are read in parts, and progress counts all of them', async () => {
  const length = 9 * 2 ** 20 + 7;
  const source = memoryDevice(fileWith(length + 5, 5, 2 ** 22 + 5, length + 4));
  const done: number[] = [];
  const found: ByteRange[] = [];
  for await (const { sectors, stretches, doneBytes } of nonZeroIn(source, [{ at: 5, length }])) {
    done.push(doneBytes);
    found.push(...sectors);
    expect(stretches.length).toBe(sectors.length > 0 ? 1 : 0);
  }
  expect(done).toEqual([2 ** 22, 2 ** 23, length]);
  expect(found).toEqual([
    { at: 5, length: 507 },
    { at: 2 ** 22 + 5, length: 507 },
    { at: length - (length % 512), length: (length % 512) + 5 },
  ]);
});

test('holes are not read', async () => {
  const device = recordingDevice(fileWith(2 ** 20, 2 ** 19 + 3));
  const source: BlockSource = Object.assign(device, {
    stretchesFrom: (from: number, to: number) =>
      Promise.resolve(
        [
          { at: 0, length: 2 ** 19, isHole: true },
          { at: 2 ** 19, length: 4096, isHole: false },
          { at: 2 ** 19 + 4096, length: 2 ** 19 - 4096, isHole: true },
        ].filter(({ at, length }) => at < to && at + length > from),
      ),
  });
  expect(await sectorsIn(source, [{ at: 0, length: 2 ** 20 }])).toEqual([
    { at: 2 ** 19, length: 512 },
  ]);
  expect(device.log).toEqual([{ kind: 'read', at: 2 ** 19, length: 4096 }]);
});
