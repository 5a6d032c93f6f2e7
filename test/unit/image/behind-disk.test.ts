import { expect, test } from 'vitest';
import { memoryDevice, openImage } from '../../../src/index.js';
import { behindDiskText, findBehindDisk } from '../../../src/image/behind-disk.js';
import { fixtureNames, loadFixture } from '../../support/fixture.js';
import { buildImage, guestWrite } from '../../support/image-builder.js';
import { putU64 } from '../../support/image-builder-layout.js';

const OPTIONS = { version: 3, clusterBits: 12, refcountOrder: 4, extendedL2: false } as const;

/** A disk of 1 MiB, of which cells 10 and 100 are written. */
function written(): Uint8Array {
  const disk = { bytes: buildImage({ ...OPTIONS, diskSizeBytes: 2 ** 20 }) };
  guestWrite(disk, 10, 1);
  guestWrite(disk, 100, 2);
  return disk.bytes;
}

const found = async (bytes: Uint8Array) => findBehindDisk(await openImage(memoryDevice(bytes)));

test('a disk that ends before its last mapped cluster does', async () => {
  const bytes = written();
  for (const clusters of [256, 101]) {
    putU64(bytes, 24, BigInt(clusters * 4096));
    expect(await found(bytes)).toEqual([]);
  }
  // The last cluster is used in part.
  putU64(bytes, 24, BigInt(101 * 4096 - 512));
  expect(await found(bytes)).toEqual([]);
  putU64(bytes, 24, BigInt(100 * 4096));
  const [behind] = await found(bytes);
  expect(behind).toEqual({
    structure: 'main-header',
    at: 24,
    diskSizeBytes: 409_600,
    mappedTo: 413_696,
  });
  expect(behindDiskText(behind!)).toBe(
    'the active disk has a size of 409600 bytes, but guest data is mapped up to 0x65000',
  );
});

test('no image that QEMU made is found to be so', async () => {
  const unreadable = /^(qcow-version-1|feature-incompatible)/;
  for (const name of fixtureNames().filter((one) => !unreadable.test(one))) {
    const image = await openImage(memoryDevice(loadFixture(name)));
    expect(await findBehindDisk(image), name).toEqual([]);
  }
});
