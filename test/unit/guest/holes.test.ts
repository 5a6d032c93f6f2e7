import { expect, test } from 'vitest';
import { allocationOf, stretchesByReading } from '../../../src/guest/holes.js';
import { memoryDevice } from '../../../src/index.js';

test('blocks are those of the file, wherever the part lies in them', async () => {
  const file = new Uint8Array(20_000);
  file[5000] = 1;
  const found = [];
  for await (const batch of stretchesByReading(memoryDevice(file), 6000, 10_000)) {
    found.push(...batch);
  }
  expect(found).toEqual([
    { at: 6000, length: 2192, isHole: false },
    { at: 8192, length: 7808, isHole: true },
  ]);
});

test('many batches, of which one is read while another is looked through', async () => {
  const blocks = 3 * 1024 + 7;
  const file = new Uint8Array(blocks * 4096);
  const isData = (block: number): boolean => (block * 7) % 11 < 4 || block % 1024 === 1023;
  for (let block = 0; block < blocks; block += 1) if (isData(block)) file[block * 4096 + block] = 1;
  const found = Array.from({ length: blocks }, () => 'nothing');
  for await (const batch of stretchesByReading(memoryDevice(file), 0, file.length)) {
    for (const { at, length, isHole } of batch) {
      found.fill(isHole ? 'hole' : 'data', at / 4096, (at + length) / 4096);
    }
    // Whoever gets a batch may take his time.
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(found).toEqual(found.map((_, block) => (isData(block) ? 'data' : 'hole')));
});

test('a source that can not tell is all there', async () => {
  const memory = memoryDevice(new Uint8Array(5000));
  expect(await allocationOf(memory)).toBe('all');
  const sparse = (bytes: number) =>
    Object.assign(memory, { allocatedBytes: () => Promise.resolve(bytes) });
  expect(await allocationOf(sparse(0))).toBe('nothing');
  expect(await allocationOf(sparse(4096))).toBe('some');
  expect(await allocationOf(sparse(8192))).toBe('all');
});
