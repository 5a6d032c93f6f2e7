/** Refcounts that do not agree with what the pointers lead to: they are not believed, and move nothing. */
import { expect, test } from 'vitest';
import { memoryDevice, openImage } from '../../../../src/index.js';
import { u64 } from '../../../support/image-builder-layout.js';
import { buildImage, guestWrite, readGuest } from '../../../support/image-builder.js';
import { activeOf, rescueOf, withSnapshot } from '../../../support/rescued.js';

const REFCOUNT_ORDER_AT = 99;
const REFCOUNT_TABLE_FIELD = 48;

/** An image with three snapshots, each with writes of its own, and something written after the last. */
async function withSnapshots(refcountOrder: number): Promise<Uint8Array> {
  const disk = { bytes: buildImage({ refcountOrder }) };
  for (let round = 0; round < 3; round++) {
    for (let cell = 0; cell < 12; cell++) guestWrite(disk, 16 * round + cell, round + 1);
    disk.bytes = await withSnapshot(disk.bytes, `s${round}`);
  }
  for (let cell = 0; cell < 8; cell++) guestWrite(disk, 20 + cell, 9);
  return disk.bytes;
}

async function disksOf(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
  const { snapshots } = await openImage(memoryDevice(bytes));
  return [
    activeOf(bytes),
    ...snapshots.map(({ l1, diskSizeBytes }) =>
      readGuest(bytes, { l1At: l1.at, l1Entries: l1.entries, diskSizeBytes }),
    ),
  ];
}

test.each([
  [4, 0],
  [3, 1],
  [3, 2],
  [2, 3],
  [5, 4],
])('refcounts of the order %i read as those of the order %i', async (order, flipped) => {
  const sound = await withSnapshots(order);
  const bytes = sound.slice();
  bytes[REFCOUNT_ORDER_AT] = flipped;
  const rescued = await rescueOf(bytes);
  expect(rescued.plan.evidence.refcounts.isKnown).toBe(false);
  const [back, wanted] = [await disksOf(rescued.copy), await disksOf(sound)];
  expect(back).toHaveLength(wanted.length);
  back.forEach((disk, i) => {
    expect(Buffer.compare(disk, wanted[i]!), `disk ${i}`).toBe(0);
  });
  expect(rescued.isAll).toBe(true);
});

test('a single refcount with a flipped bit puts the others in no doubt', async () => {
  const bytes = await withSnapshots(4);
  const blockAt = Number(u64(bytes, Number(u64(bytes, REFCOUNT_TABLE_FIELD))));
  for (const cluster of [0, 20]) {
    const flipped = bytes.slice();
    flipped[blockAt + 2 * cluster + 1]! ^= 1;
    expect((await rescueOf(flipped)).plan.evidence.refcounts.isKnown).toBe(true);
  }
});
