import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { checkImage, openImage } from '../../../src/index.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { luksBytes, newLuks } from '../../../src/luks/new-luks.js';
import { LUKS_HEADER_BYTES, parseLuksHeader } from '../../../src/qcow2/luks.js';
import {
  AES_128_CBC,
  AES_256_XTS,
  guestBytes,
  luksImage,
  steadyKeyMaker,
  writtenImage,
} from '../../support/luks.js';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('the same randomness gives the same bytes', async () => {
  const { keys } = await newLuks(AES_128_CBC, steadyKeyMaker());
  expect(sha256(keys.subarray(0, LUKS_HEADER_BYTES))).toMatchInlineSnapshot(
    `"3fc68b0220c7b3142bd5144c94ac8ed67810c90024b88130f044034e484461a0"`,
  );
  expect(sha256(keys)).toMatchInlineSnapshot(
    `"db23b21b6f279408f5640224f98d7fb9dcc170d1ffb58cadf876fac6b135ad18"`,
  );
});

test.each([
  [AES_256_XTS, 2_068_480, 258_048],
  [AES_128_CBC, 528_384, 65_536],
  [{ ...AES_256_XTS, keyBytes: 48 }, 1_544_192, 192_512],
])('lengths as QEMU has them: %#', async (options, bytes, slotBytes) => {
  expect(luksBytes(options.keyBytes)).toBe(bytes);
  const { keys, numberedBy } = await newLuks(options, steadyKeyMaker());
  const header = parseLuksHeader(keys);
  expect(header.payloadOffset).toBe(bytes);
  expect(header.uuid).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  expect(header.slots.map(({ active }) => active)).toEqual([
    true,
    ...Array<boolean>(7).fill(false),
  ]);
  expect(header.slots.map(({ keyOffset }) => keyOffset)).toEqual(
    Array.from({ length: 8 }, (_, i) => 4096 + i * slotBytes),
  );
  expect(numberedBy).toBe('host');
});

test('a cipher that is not known makes no header', async () => {
  const cipher = { ...AES_256_XTS.cipher, cipher: 'serpent' };
  await expect(newLuks({ ...AES_256_XTS, cipher }, steadyKeyMaker())).rejects.toMatchObject({
    code: 'UNSUPPORTED_ENCRYPTION',
  });
});

test.each([
  [{ clusterBytes: 512 }],
  [{ version: 2 as const }],
  [{ extendedL2: true, clusterBytes: 16_384 }],
  [{ preallocation: 'full' as const }],
])('an empty image is sound and opens: %j', async (changes) => {
  const image = await luksImage(AES_128_CBC, changes);
  expect((await checkImage(memoryDevice(image))).findings).toEqual([]);
  const { header } = await openImage(memoryDevice(image));
  expect(header.encryption).toBe('luks');
  if ('preallocation' in changes) return;
  expect(await guestBytes(image, 0, 512)).toEqual(new Uint8Array(512));
});

test.each([
  [{}],
  [{ clusterBytes: 512 }],
  [{ version: 2 as const }],
  [{ extendedL2: true, clusterBytes: 16_384 }],
])('what is written is read: %j', async (changes) => {
  const encryption = await newLuks(AES_256_XTS, steadyKeyMaker());
  const bytes = Uint8Array.from({ length: 70_144 }, (_, i) => (i * 7) & 255);
  const image = await writtenImage(encryption, 65_536, bytes, {
    diskSizeBytes: 135_680,
    ...changes,
  });
  expect((await checkImage(memoryDevice(image))).findings).toEqual([]);
  expect(await guestBytes(image, 65_536, bytes.length)).toEqual(bytes);
  expect(Buffer.from(image).includes(Buffer.from(bytes.subarray(0, 512)))).toBe(false);
});
