import { expect, test } from 'vitest';
import { writtenUnits } from '../../../../src/make/copy/divided-units.js';
import type { DividedUnit } from '../../../../src/make/copy/copy-steps.js';
import { diskOf } from './disks.js';

const unit = (index: number, from: number, to: number): DividedUnit => ({
  from: index * 4096,
  to: (index + 1) * 4096,
  first: { from: index * 4096 + from, to: index * 4096 + to },
});

const backing = diskOf([
  { length: 4096, kind: 'unallocated' },
  { length: 4096 + 512, kind: 'data' },
  { length: 4096 - 512, kind: 'zero' },
  { length: 1024, kind: 'preallocated' },
  { length: 512, kind: 'compressed' },
]);

test.each([
  ['only holes', unit(0, 0, 512), false],
  ['data everywhere', unit(1, 0, 512), true],
  ['data behind what is written first', unit(1, 0, 4095), true],
  ['data before it', unit(1, 1, 4096), true],
  ['data under it, and only there', unit(2, 0, 512), false],
  ['data before it, holes behind', unit(2, 512, 1024), true],
  ['holes of a file', unit(3, 1024, 2048), false],
  ['compressed data', unit(3, 0, 1024), true],
  ['past the end', unit(4, 0, 512), false],
])('%s', async (_, one, isWritten) => {
  expect(await writtenUnits([one], backing)).toEqual(isWritten ? [one] : []);
});

test('several are answered together, in order', async () => {
  const units = [unit(0, 0, 512), unit(1, 0, 512), unit(2, 512, 1024), unit(9, 0, 1)];
  expect(await writtenUnits(units, backing)).toEqual(units.slice(1, 3));
});

test('a backing file that is not known may have anything', async () => {
  expect(await writtenUnits([unit(0, 0, 512)], undefined)).toHaveLength(1);
  expect(await writtenUnits([], backing)).toEqual([]);
});
