/** A header that is found elsewhere than at the start: the image's own, or one on the guest's disk. */
import { expect, test } from 'vitest';
import { allocateCluster } from '../../../support/image-builder-allocate.js';
import { u64 } from '../../../support/image-builder-layout.js';
import {
  buildImage,
  guestWrite,
  layoutOf,
  type PlainDisk,
} from '../../../support/image-builder.js';
import { activeOf, rescueOf } from '../../../support/rescued.js';

const CLUSTER = 4096;

function written(): PlainDisk {
  const options = { version: 3, clusterBits: 12, refcountOrder: 4, extendedL2: false } as const;
  const disk = { bytes: buildImage({ ...options, diskSizeBytes: 2 ** 18 }) };
  for (let cell = 0; cell < 16; cell++) guestWrite(disk, cell, cell + 1);
  return disk;
}

test('a header in guest data is the guest’s own, and not used', async () => {
  const { bytes } = written();
  const l2At = Number(u64(bytes, layoutOf(bytes).l1At) % 2n ** 56n);
  const dataAt = Number(u64(bytes, l2At + 8 * 5) % 2n ** 56n);
  bytes.set(bytes.subarray(0, 512), dataAt);
  bytes.fill(0, 0, 512);
  const { plan } = await rescueOf(bytes);
  expect(plan.evidence.head.from).toBe('none');
});

test('one to which no table leads is used, if it has the cluster size of the tables', async () => {
  const disk = written();
  const at = allocateCluster(disk) * CLUSTER;
  const { bytes } = disk;
  const sound = activeOf(bytes);
  bytes.copyWithin(at, 0, 512);
  bytes.fill(0, 0, 512);
  const rescued = await rescueOf(bytes);
  expect(rescued.plan.evidence.head.from).toBe('old-header');
  expect(Buffer.compare(activeOf(rescued.copy), sound)).toBe(0);
  bytes[at + 23] = 11;
  expect((await rescueOf(bytes)).plan.evidence.head.from).toBe('none');
});
