/** A pointer with a flipped bit that was mended: what it leads to is as its refcount says. */
import { expect, test } from 'vitest';
import { putU64, u64 } from '../../../support/image-builder-layout.js';
import { buildImage, guestWrite, layoutOf } from '../../../support/image-builder.js';
import { activeOf, rescueOf, withSnapshot } from '../../../support/rescued.js';

test('the cluster of a mended pointer that a snapshot has too is not counted as missed', async () => {
  const options = { version: 3, clusterBits: 12, refcountOrder: 4, extendedL2: false } as const;
  const disk = { bytes: buildImage({ ...options, diskSizeBytes: 2 ** 19 }) };
  for (let cell = 0; cell < 8; cell++) guestWrite(disk, cell, cell + 1);
  disk.bytes = await withSnapshot(disk.bytes, 'one');
  guestWrite(disk, 20, 99);
  const { bytes } = disk;
  const sound = activeOf(bytes);
  const entryAt = Number(u64(bytes, layoutOf(bytes).l1At) % 2n ** 56n) + 8 * 3;
  putU64(bytes, entryAt, u64(bytes, entryAt) ^ 0x400n);
  const rescued = await rescueOf(bytes);
  expect(rescued.plan.disks[0]).toMatchObject({ id: 'active', mendedPointers: 1 });
  expect(rescued.plan.unexplained).toMatchObject({ overcounted: 0, withData: 0 });
  expect(Buffer.compare(activeOf(rescued.copy), sound)).toBe(0);
  expect(rescued.isAll).toBe(true);
});
