import { expect, test } from 'vitest';
import type { BlockSource, FileStretch } from '../../../src/io/device.js';
import { stretchesOf, tellsHoles } from '../../../src/io/holes.js';
import { memoryDevice } from '../../../src/io/memory.js';

/** A file that takes so much room, and may tell some of its stretches. */
function sparse(
  bytes: Uint8Array,
  allocatedBytes: number,
  stretchesFrom: NonNullable<BlockSource['stretchesFrom']> = () => Promise.resolve(undefined),
): BlockSource {
  return Object.assign(memoryDevice(bytes), {
    allocatedBytes: () => Promise.resolve(allocatedBytes),
    stretchesFrom,
  });
}

async function all(
  batches: AsyncIterable<readonly FileStretch[]>,
): Promise<readonly FileStretch[]> {
  const found: FileStretch[] = [];
  for await (const batch of batches) found.push(...batch);
  return found;
}

test('where nobody can tell, blocks are those of the file, wherever the part lies in them', async () => {
  const file = new Uint8Array(20_000);
  file[5000] = 1;
  expect(await all(stretchesOf(sparse(file, 4096), 6000, 10_000))).toEqual([
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
  for await (const batch of stretchesOf(sparse(file, 4096), 0, file.length)) {
    for (const { at, length, isHole } of batch) {
      found.fill(isHole ? 'hole' : 'data', at / 4096, (at + length) / 4096);
    }
    // Whoever gets a batch may take his time.
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(found).toEqual(found.map((_, block) => (isData(block) ? 'data' : 'hole')));
});

test('a source that knows nothing of its medium is all data, and so is a file with room for all', async () => {
  const memory = memoryDevice(new Uint8Array(5000));
  const data = [{ at: 0, length: 5000, isHole: false }];
  expect(await tellsHoles(memory)).toBe(false);
  expect(await all(stretchesOf(memory, 0, 5000))).toEqual(data);
  expect(await all(stretchesOf(sparse(new Uint8Array(5000), 8192), 0, 5000))).toEqual(data);
});

// Some file systems count no blocks, and what is on a block device is not its node's: a file that was
// said to take none was copied as zeros, whatever was in it.
test('a file that is said to take no room is looked through', async () => {
  const file = new Uint8Array(12_288).fill(1, 4096, 8192);
  expect(await all(stretchesOf(sparse(file, 0), 0, file.length))).toEqual([
    { at: 0, length: 4096, isHole: true },
    { at: 4096, length: 4096, isHole: false },
    { at: 8192, length: 4096, isHole: true },
  ]);
});

test('what is told is not read, and asked for until the end', async () => {
  const asked: [number, number][] = [];
  const source = sparse(new Uint8Array(0), 0, (from, to) => {
    asked.push([from, to]);
    return Promise.resolve([{ at: from, length: 1000, isHole: from % 2000 === 0 }]);
  });
  source.readBatch = () => Promise.reject(new Error('it was read'));
  expect(await tellsHoles(source)).toBe(true);
  asked.splice(0);
  expect(await all(stretchesOf(source, 5000, 3000))).toEqual([
    { at: 5000, length: 1000, isHole: false },
    { at: 6000, length: 1000, isHole: true },
    { at: 7000, length: 1000, isHole: false },
  ]);
  expect(asked).toEqual([5000, 6000, 7000].map((from) => [from, 8000]));
});

test('from where nobody can tell any more the rest is read', async () => {
  const file = new Uint8Array(16_384).fill(1, 12_288);
  const source = sparse(file, 4096, (from) =>
    Promise.resolve(from === 0 ? [{ at: 0, length: 4096, isHole: false }] : undefined),
  );
  expect(await all(stretchesOf(source, 0, file.length))).toEqual([
    { at: 0, length: 4096, isHole: false },
    { at: 4096, length: 8192, isHole: true },
    { at: 12_288, length: 4096, isHole: false },
  ]);
});
