import { expect, test } from 'vitest';
import { joinExtents } from '../../../../src/read/guest/join-extents.js';
import type { Extent } from '../../../../src/index.js';

const extent = (start: number, at: number): Extent => {
  return { start, length: 10, kind: 'data', depth: 0, at };
};

async function joined(batches: AsyncIterable<readonly Extent[]>): Promise<unknown[]> {
  const found: unknown[] = [];
  try {
    for await (const batch of joinExtents(batches)) found.push(...batch);
  } catch (error) {
    found.push((error as Error).message);
  }
  return found;
}

test('across batches, and what came before an error comes first', async () => {
  async function* batches(): AsyncGenerator<readonly Extent[]> {
    yield [extent(0, 100)];
    yield [extent(10, 110), extent(20, 500)];
    await Promise.resolve();
    throw new Error('end');
  }
  expect(await joined(batches())).toEqual([
    { ...extent(0, 100), length: 20 },
    extent(20, 500),
    'end',
  ]);
});
