import { expect, test } from 'vitest';
import { QsnapError } from '../../../../src/errors.js';
import { readAround } from '../../../../src/read/guest/read-around.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { failingSource } from '../../../support/failing-source.js';

const bytes = Uint8Array.from({ length: 4096 }, (_, i) => 1 + (i % 250));

test('what the medium gives is read, and told is what it does not give', async () => {
  const source = failingSource(memoryDevice(bytes), [{ at: 1100, length: 10 }]);
  const [first, second] = [new Uint8Array(1000), new Uint8Array(2000)];
  const lost: number[][] = [];
  await readAround(
    source,
    [
      { at: 0, into: first },
      { at: 500, into: second },
    ],
    (request, from, length, error) => {
      expect(error.code).toBe('READ_FAILED');
      lost.push([request, from, length]);
    },
  );
  expect(first).toEqual(bytes.subarray(0, 1000));
  expect(lost).toEqual([[1, 512, 512]]);
  const expected = bytes.slice(500, 2500).fill(0, 512, 1024);
  expect(second).toEqual(expected);
});

test('what is no failure of the medium is thrown', async () => {
  const source = {
    ...memoryDevice(bytes),
    label: 'x',
    sizeBytes: () => Promise.resolve(1),
    readBatch: () => Promise.reject(new QsnapError('IMAGE_CHANGED', 'changed')),
  };
  await expect(
    readAround(source, [{ at: 0, into: new Uint8Array(1) }], () => undefined),
  ).rejects.toThrow('changed');
});
