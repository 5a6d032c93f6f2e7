import { expect, test } from 'vitest';
import { openImage } from '../../../src/image/open.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { mapOwners } from '../../../src/refs/owners.js';
import {
  compressedRange,
  entryOffset,
  readPlain,
  Unreadable,
} from '../../support/crash-judge-image.js';
import { fixtureNames, loadFixture } from '../../support/fixture.js';
import { l2EntriesOf } from '../../support/image-builder-check.js';
import { layoutOf } from '../../support/image-builder.js';

/** The clusters that disks name, by an own walk over the bytes, disk by disk. */
function plainOwners(bytes: Uint8Array): Map<number, Set<number>> {
  const plain = readPlain(bytes);
  const layout = layoutOf(bytes);
  const owners = new Map<number, Set<number>>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  [plain, ...plain.snapshots].forEach(({ l1At, l1Entries }, disk) => {
    for (let i = 0; i < l1Entries; i++) {
      const at = l1At + i * 8;
      const tableAt = entryOffset(view.getUint32(at), view.getUint32(at + 4));
      if (tableAt === 0) continue;
      for (const { entry } of l2EntriesOf(bytes, layout, tableAt)) {
        const [high, low] = [Number(entry >> 32n), Number(entry & 0xffff_ffffn)];
        const isPacked = (high & 0x4000_0000) !== 0;
        const { clusterBits, clusterBytes } = plain;
        const stretch = isPacked
          ? compressedRange(high, low, clusterBits)
          : { at: entryOffset(high, low), bytes: clusterBytes };
        const isWrong = !isPacked && stretch.at % clusterBytes !== 0;
        if (stretch.at === 0 || isWrong || stretch.at >= bytes.length) continue;
        const last = Math.floor((stretch.at + stretch.bytes - 1) / clusterBytes);
        for (let c = Math.floor(stretch.at / clusterBytes); c <= last; c++) {
          owners.set(c, (owners.get(c) ?? new Set()).add(disk));
        }
      }
    }
  });
  return owners;
}

/** Images that the plain reader can make sense of, with snapshots. */
const names = fixtureNames().filter((name) => {
  try {
    return readPlain(loadFixture(name)).snapshots.length > 0;
  } catch (error) {
    if (error instanceof Unreadable) return false;
    throw error;
  }
});

test('there are such images', () => {
  expect(names.length).toBeGreaterThan(20);
});

test.each(names)('%s: who has which cluster is what a plain reader finds', async (name) => {
  const bytes = loadFixture(name);
  const { data, pointers } = await mapOwners(await openImage(memoryDevice(bytes)));
  const told = new Map<number, number[]>();
  for (const { first, length, owners } of data.ranges()) {
    const disks = [...pointers.disks.disksOf(owners)];
    for (let cluster = first; cluster < first + length; cluster++) told.set(cluster, disks);
  }
  const expected = [...plainOwners(bytes)].sort(([a], [b]) => a - b);
  expect([...told]).toEqual(expected.map(([cluster, disks]) => [cluster, [...disks]]));
});

test('a signal ends the walk', async () => {
  const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
  const walk = mapOwners(image, { signal: AbortSignal.abort('enough') });
  await expect(walk).rejects.toMatchObject({ code: 'ABORTED' });
});
