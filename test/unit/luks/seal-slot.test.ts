import { expect, test } from 'vitest';
import { openImage } from '../../../src/index.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { fillSlot } from '../../../src/luks/change-slots.js';
import { sealSlot } from '../../../src/luks/seal-slot.js';
import { nodeCryptography } from '../../../src/node/index.js';
import { openSlot, openSlots, readLuks } from '../../../src/read/guest/luks-keys.js';
import { luksImage, passphrase, steadyKeyMaker } from '../../support/luks.js';

test('what a passphrase seals it opens, and no other does', async () => {
  const device = memoryDevice(await luksImage());
  const cryptography = nodeCryptography();
  const luks = await readLuks(await openImage(device));
  const { key, slot } = await openSlots(device, luks, passphrase('first'), cryptography);
  expect(slot).toBe(0);
  const wanted = { passphrase: passphrase('second'), milliseconds: 1 };
  const place = luks.header.slots[5]!;
  const sealed = await sealSlot(luks.header, place, key, wanted, steadyKeyMaker('other'));
  expect(sealed.material.length).toBe(64_000);
  for (const step of fillSlot(luks, 5, sealed)) await device.writeBatch(step);
  const now = await readLuks(await openImage(device));
  const opened = (index: number, text: string) =>
    openSlot(device, now, index, passphrase(text), cryptography);
  expect(await opened(5, 'second')).toEqual(key);
  expect(await opened(5, 'first')).toBeUndefined();
  expect(await opened(0, 'first')).toEqual(key);
  expect(await opened(1, 'first')).toBeUndefined();
  await expect(openSlots(device, now, passphrase('third'), cryptography)).rejects.toMatchObject({
    code: 'PASSPHRASE_WRONG',
  });
});
