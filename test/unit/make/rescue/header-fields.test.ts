/** Fields of the header that the rest of the image contradicts: what follows for the copy. */
import { expect, test } from 'vitest';
import { memoryDevice, openImage } from '../../../../src/index.js';
import { allocateCluster } from '../../../support/image-builder-allocate.js';
import { putU32, putU64 } from '../../../support/image-builder-layout.js';
import { buildImage, guestWrite } from '../../../support/image-builder.js';
import { activeOf, diskOf, rescueOf, writtenDisk } from '../../../support/rescued.js';

const CLUSTER = 4096;
const LUKS_CLUSTERS = 8;
const HEADER_BYTES = 104;

/** An image that is encrypted with LUKS, whose header is the last part of the file. */
function encrypted(): { bytes: Uint8Array; luksAt: number } {
  const disk = writtenDisk();
  const clusters = Array.from({ length: LUKS_CLUSTERS }, () => allocateCluster(disk));
  const luksAt = clusters[0]! * CLUSTER;
  const { bytes } = disk;
  bytes.fill(0x5a, luksAt, luksAt + LUKS_CLUSTERS * CLUSTER);
  putU32(bytes, 32, 2);
  putU32(bytes, HEADER_BYTES, 0x0537be77);
  putU32(bytes, HEADER_BYTES + 4, 16);
  putU64(bytes, HEADER_BYTES + 8, BigInt(luksAt));
  putU64(bytes, HEADER_BYTES + 16, BigInt(LUKS_CLUSTERS * CLUSTER));
  return { bytes, luksAt };
}

const encryptionOf = async (bytes: Uint8Array): Promise<string> =>
  (await openImage(memoryDevice(bytes))).header.encryption;

test('a LUKS header that the end of the file cuts is kept as far as it goes', async () => {
  const { bytes, luksAt } = encrypted();
  const end = luksAt + 2 * CLUSTER + 100;
  const rescued = await rescueOf(bytes.slice(0, end));
  expect(rescued.plan.evidence.head.luksHeader).toBe('cut');
  expect(diskOf(rescued, 'active')).toMatchObject({ lostBytes: 0 });
  expect(await encryptionOf(rescued.copy)).toBe('luks');
  expect(rescued.copy.subarray(luksAt, end)).toEqual(bytes.subarray(luksAt, end));
  expect(rescued.isAll).toBe(false);
});

test('without any of its LUKS header the guest data is copied as it is stored', async () => {
  const { bytes, luksAt } = encrypted();
  const rescued = await rescueOf(bytes.slice(0, luksAt));
  expect(rescued.plan.evidence.head.luksHeader).toBe('lost');
  expect(await encryptionOf(rescued.copy)).toBe('none');
  expect(activeOf(rescued.copy)).toEqual(activeOf(bytes));
  expect(rescued.isAll).toBe(false);
});

test('a LUKS header tells the method of encryption where that has a flipped bit', async () => {
  const { bytes, luksAt } = encrypted();
  expect((await rescueOf(bytes)).isAll).toBe(true);
  for (const method of [0, 3, 6]) {
    putU32(bytes, 32, method);
    const rescued = await rescueOf(bytes);
    expect(rescued.plan.evidence.head.luksHeader).toBe('whole');
    expect(await encryptionOf(rescued.copy)).toBe('luks');
    expect(rescued.copy[luksAt]).toBe(0x5a);
    expect(rescued.isAll).toBe(true);
  }
});

test('a refcount table is no longer than the file needs, whatever the header claims', async () => {
  const { bytes } = writtenDisk();
  for (const clusters of [5, 2 ** 24 + 1]) {
    putU32(bytes, 56, clusters);
    const rescued = await rescueOf(bytes);
    expect(activeOf(rescued.copy)).toEqual(activeOf(bytes));
    expect(rescued.isAll).toBe(true);
  }
});

test('the copy has room for all header extensions that the image has', async () => {
  const options = { version: 3, clusterBits: 9, refcountOrder: 4, extendedL2: false } as const;
  const disk = { bytes: buildImage({ ...options, diskSizeBytes: 2 ** 15 }) };
  guestWrite(disk, 0, 1);
  putU32(disk.bytes, HEADER_BYTES, 0x0bad_cafe);
  putU32(disk.bytes, HEADER_BYTES + 4, 392);
  const rescued = await rescueOf(disk.bytes);
  expect(rescued.copy.subarray(HEADER_BYTES, 512)).toEqual(disk.bytes.subarray(HEADER_BYTES, 512));
  expect(rescued.isAll).toBe(true);
});
