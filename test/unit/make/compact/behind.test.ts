/** Data behind the end of a disk: a sign of a lost size, and the only copy of what a larger size would show. */
import { expect, test } from 'vitest';
import { findBehindDisk } from '../../../../src/image/behind-disk.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { checkImage } from '../../../../src/read/check/check-image.js';
import { compacted, expectSame } from '../../../support/compact-images.js';
import { buildImage, guestWrite, type PlainDisk } from '../../../support/image-builder.js';
import { putU64 } from '../../../support/image-builder-layout.js';
import { withSnapshot } from '../../../support/rescued.js';

/** A disk of 1 MiB with a snapshot, whose header then says less. */
async function cutShort(): Promise<Uint8Array> {
  const disk: PlainDisk = { bytes: buildImage({ diskSizeBytes: 2 ** 20 }) };
  guestWrite(disk, 10, 1);
  guestWrite(disk, 100, 2);
  disk.bytes = await withSnapshot(disk.bytes, 'before');
  putU64(disk.bytes, 24, BigInt(50 * 4096));
  return disk.bytes;
}

test('is kept, and a check of the new image says of it what one of the old image says', async () => {
  const bytes = await cutShort();
  const { made } = await compacted(bytes);
  const [old, now] = [await checkImage(memoryDevice(bytes)), await checkImage(memoryDevice(made))];
  expect(now.findings.map(({ code }) => code)).toEqual(['DISK_SIZE_TOO_SMALL']);
  expect(now.findings.map(({ code }) => code)).toEqual(old.findings.map(({ code }) => code));
  expect(await findBehindDisk(await openImage(memoryDevice(made)))).toEqual(
    await findBehindDisk(await openImage(memoryDevice(bytes))),
  );
});

test('is left out in clusters of another size, where a table may begin before it', async () => {
  const { made } = await compacted(await cutShort(), { clusterBytes: 1024 });
  expect((await checkImage(memoryDevice(made))).findings).toEqual([]);
});

test.each([512, 1024, 2048])(
  'in the last cluster alone is no finding in clusters of %s bytes',
  async (clusterBytes) => {
    // The guest fills its last cluster, of which it can use the first 1,536 bytes.
    const disk: PlainDisk = { bytes: buildImage({ diskSizeBytes: 50 * 4096 + 1536 }) };
    guestWrite(disk, 50, 7);
    const old = await checkImage(memoryDevice(disk.bytes));
    expect(old.findings).toEqual([]);
    const { made } = await compacted(disk.bytes, { clusterBytes });
    expect((await checkImage(memoryDevice(made))).findings).toEqual([]);
    expectSame(made, disk.bytes);
  },
);
