/** The bit that says that the guest data lies in another file: the tables tell whether it has flipped. */
import { expect, test } from 'vitest';
import { isQsnapError, memoryDevice, openImage, planRescue } from '../../../../src/index.js';
import { putU32, putU64, u64 } from '../../../support/image-builder-layout.js';
import { guestWrite, layoutOf } from '../../../support/image-builder.js';
import { activeOf, rescueOf, withSnapshot, writtenDisk } from '../../../support/rescued.js';

const CLUSTER = 4096;
const HEADER_BYTES = 104;

/** The image with the bit that says that its guest data lies in another file. */
function withDataFileBit(bytes: Uint8Array): Uint8Array {
  const flipped = bytes.slice();
  putU64(flipped, 72, u64(bytes, 72) | 4n);
  return flipped;
}

test('the bit for an external data file is ignored where the tables lead to data in the file', async () => {
  const disk = writtenDisk();
  disk.bytes = await withSnapshot(disk.bytes, 'one');
  for (let cell = 0; cell < 4; cell++) guestWrite(disk, cell, 99);
  const rescued = await rescueOf(withDataFileBit(disk.bytes));
  expect(rescued.plan.disks.map(({ id, sureness }) => [id, sureness])).toEqual([
    ['active', 'certain'],
    ['snapshot-1', 'certain'],
  ]);
  expect(activeOf(rescued.copy)).toEqual(activeOf(disk.bytes));
  expect((await openImage(memoryDevice(rescued.copy))).header.externalDataFile).toBe(false);
  expect(rescued.isAll).toBe(true);
});

/** An image whose 16 clusters lie in another file, one behind the other from its start. */
function withDataElsewhere(): Uint8Array {
  const bytes = withDataFileBit(writtenDisk().bytes);
  const l2At = Number(u64(bytes, layoutOf(bytes).l1At) % 2n ** 56n);
  for (let i = 0; i < 16; i++) putU64(bytes, l2At + i * 8, 2n ** 63n + BigInt(i * CLUSTER));
  return bytes.slice(0, l2At + CLUSTER);
}

test.each([
  ['leads elsewhere by its tables', withDataElsewhere],
  [
    'names the other file',
    () => {
      const bytes = withDataFileBit(writtenDisk().bytes);
      putU32(bytes, HEADER_BYTES, 0x44415441);
      putU32(bytes, HEADER_BYTES + 4, 8);
      return bytes;
    },
  ],
])('an image with an external data file that %s is refused', async (_, make) => {
  const thrown: unknown = await planRescue(memoryDevice(make())).catch((error: unknown) => error);
  expect(isQsnapError(thrown) && thrown.code).toBe('EXTERNAL_DATA_FILE');
});
