import { describe, expect, test } from 'vitest';
import {
  executePlan,
  memoryDevice,
  openImage,
  planCreate,
  planDelete,
} from '../../../../src/index.js';
import { imageWith } from '../snapshot/edited.js';
import { readPlainly, type PlainImage } from './independent-reader.js';

const DATE = { seconds: 1, nanoseconds: 0 };

/** Every cluster of the file counted, and by exactly the references that there are. */
function expectExact({ stored, counted, storedPastTheEnd }: PlainImage): void {
  expect(stored.map(Number)).toEqual(counted);
  expect(storedPastTheEnd.size).toBe(0);
}

describe('R6: refcount blocks and the table count themselves', () => {
  // Clusters of 512 bytes with refcounts of 64 bits: a block counts 64 clusters, the table's first
  // cluster 4096. A snapshot of a full disk then takes new blocks, and blocks that count those.
  test.each([6, 5, 4])(
    'refcount_order %d, while the file grows from edit to edit',
    async (order) => {
      const fills = Object.fromEntries(Array.from({ length: 60 }, (_, cell) => [cell, cell + 1]));
      const options = { clusterBits: 9, refcountOrder: order };
      const device = memoryDevice(imageWith(fills, options));
      for (let i = 0; i < 40; i++) {
        const image = await openImage(device);
        const plan = await planCreate(image, { name: `n${'x'.repeat(200)}${i}`, date: DATE });
        await executePlan(plan);
        if (i % 8 === 7) expectExact(readPlainly(device.snapshotBytes()));
      }
      const image = await openImage(device);
      expect(image.header.refcountTable.clusters).toBeGreaterThanOrEqual(1);
      await executePlan(await planDelete(image, image.snapshots));
      expectExact(readPlainly(device.snapshotBytes()));
    },
  );

  test('a table that one cluster no longer holds gets a second', async () => {
    // 4096 clusters of 512 bytes are 2 MiB: the file is made longer than the table can count, so
    // that the edit has to go past its end.
    const bytes = imageWith({ 0: 1 }, { clusterBits: 9, refcountOrder: 6, diskSizeBytes: 32_768 });
    const device = memoryDevice(bytes);
    await device.truncate(4096 * 512 - 512);
    const old = (await openImage(device)).header.refcountTable.clusters;
    expect(old).toBe(1);
    const free = await openImage(device);
    // Every free cluster but the last ones is kept from the plan by counting it as in use.
    const busy = memoryDevice(withAllClustersUsed(device.snapshotBytes()));
    expect(free.header.snapshotTable.count).toBe(0);
    await executePlan(await planCreate(await openImage(busy), { name: 'a', date: DATE }));
    const after = await openImage(busy);
    expect(after.header.refcountTable.clusters).toBe(2);
    const { stored, counted } = readPlainly(busy.snapshotBytes());
    const tooLow = stored.findIndex((refcount, cluster) => Number(refcount) < counted[cluster]!);
    expect(tooLow).toBe(-1);
  });
});

/**
 * Leaks every free cluster of a file of 512-byte clusters with 64-bit refcounts whose refcount
 * table has one cluster: blocks that are missing are put into clusters that were free.
 */
function withAllClustersUsed(image: Uint8Array): Uint8Array {
  const bytes = image.slice();
  const view = new DataView(bytes.buffer);
  const { counted } = readPlainly(bytes);
  const unused = counted.flatMap((references, cluster) => (references === 0 ? [cluster] : []));
  const tableAt = Number(view.getBigUint64(48));
  for (let block = 0; block < 64; block++) {
    if (view.getBigUint64(tableAt + block * 8) === 0n) {
      view.setBigUint64(tableAt + block * 8, BigInt(unused.pop()! * 512));
    }
    const at = Number(view.getBigUint64(tableAt + block * 8));
    for (let i = 0; i < 64 && block * 64 + i < counted.length; i++) {
      view.setBigUint64(at + i * 8, BigInt(Math.max(1, counted[block * 64 + i]!)));
    }
  }
  return bytes;
}
