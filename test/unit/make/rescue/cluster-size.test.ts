/** A cluster size with a flipped bit: the tables contradict it, and tell the right one. */
import { expect, test } from 'vitest';
import { buildImage, guestWrite } from '../../../support/image-builder.js';
import { activeOf, rescueOf, withSnapshot } from '../../../support/rescued.js';

const CLUSTER_BITS_AT = 23;

async function written(clusterBits: number): Promise<Uint8Array> {
  const disk = { bytes: buildImage({ clusterBits, diskSizeBytes: 64 * 2 ** clusterBits }) };
  for (let cell = 0; cell < 24; cell++) guestWrite(disk, cell, cell + 1);
  disk.bytes = await withSnapshot(disk.bytes, 'one');
  for (let cell = 4; cell < 12; cell++) guestWrite(disk, cell, 99);
  return disk.bytes;
}

test.each([
  [12, 13],
  [12, 14],
  [12, 8],
  [12, 28],
  [11, 10],
  [11, 9],
  [13, 12],
])('clusters of 2^%i bytes, and a header that says 2^%i', async (bits, flipped) => {
  const sound = await written(bits);
  const bytes = sound.slice();
  bytes[CLUSTER_BITS_AT] = flipped;
  const rescued = await rescueOf(bytes);
  expect(rescued.plan.clusterSizeDoubt).toBe('mended');
  expect(rescued.plan.evidence.format.geometry.clusterBits).toBe(bits);
  expect(rescued.plan.disks.map(({ id, sureness }) => [id, sureness])).toEqual([
    ['active', 'certain'],
    ['snapshot-1', 'certain'],
  ]);
  expect(Buffer.compare(activeOf(rescued.copy), activeOf(sound))).toBe(0);
  expect(rescued.isAll).toBe(true);
});

test('a sound cluster size is not doubted, nor is one beside an L1 offset with a flipped bit', async () => {
  const bytes = await written(12);
  expect((await rescueOf(bytes)).plan.clusterSizeDoubt).toBe('none');
  bytes[46]! ^= 8;
  const rescued = await rescueOf(bytes);
  expect(rescued.plan.clusterSizeDoubt).toBe('none');
  expect(rescued.plan.evidence.format.geometry.clusterBits).toBe(12);
});

test('where no size brings back more the header is followed, and the doubt is told', async () => {
  const bytes = await written(12);
  bytes[CLUSTER_BITS_AT] = 13;
  // Of all tables nothing is left but what the header says of them.
  bytes.fill(0, 4096);
  bytes.fill(0xff, 4096 * 8, 4096 * 9);
  const rescued = await rescueOf(bytes);
  expect(rescued.plan.clusterSizeDoubt).not.toBe('none');
  expect(rescued.isAll).toBe(false);
});
