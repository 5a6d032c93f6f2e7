import { expect, test } from 'vitest';
import { openImage } from '../../../../src/image/open.js';
import type { BlockSource } from '../../../../src/io/device.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { isPreallocated } from '../../../../src/read/guest/preallocation.js';
import { loadFixture } from '../../../support/fixture.js';
import { layoutOf } from '../../../support/image-builder.js';
import { putU64 } from '../../../support/image-builder-layout.js';

/** The image in a source that says how much of it lies on the medium. */
function onMedium(bytes: Uint8Array, allocatedBytes: number): BlockSource {
  return Object.assign(memoryDevice(bytes), {
    allocatedBytes: () => Promise.resolve(allocatedBytes),
    stretchesFrom: () => Promise.resolve(undefined),
  });
}

// Refcounts of 1, 16 and 64 bits are counted in ways of their own.
test.each(['refcount-1', 'cluster-512', 'refcount-64'])(
  '%s: far more clusters in use than on the medium',
  async (name) => {
    const bytes = loadFixture(name);
    const sparse = await openImage(onMedium(bytes, 4 * layoutOf(bytes).clusterBytes));
    expect(await isPreallocated(sparse)).toBe(true);
    expect(await isPreallocated(await openImage(onMedium(bytes, bytes.length)))).toBe(false);
    expect(await isPreallocated(await openImage(memoryDevice(bytes)))).toBe(false);
  },
);

test('refcounts that can not be read are no reason not to read the guest', async () => {
  const bytes = loadFixture('cluster-512').slice();
  const image = await openImage(onMedium(bytes, 512));
  putU64(bytes, layoutOf(bytes).refcountTableAt, 0x201n);
  const damaged = await openImage(onMedium(bytes, 512));
  expect(await isPreallocated(image)).toBe(true);
  expect(await isPreallocated(damaged)).toBe(false);
});
