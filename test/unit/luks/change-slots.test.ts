import { expect, test } from 'vitest';
import { openImage } from '../../../src/index.js';
import { memoryDevice } from '../../../src/io/memory.js';
import {
  eraseSlot,
  fillSlot,
  materialBytes,
  overwriteSlot,
  refuseOddSlots,
} from '../../../src/luks/change-slots.js';
import { readLuks, type StoredLuks } from '../../../src/read/guest/luks-keys.js';
import { luksImage } from '../../support/luks.js';

const stored = async (): Promise<StoredLuks> =>
  readLuks(await openImage(memoryDevice(await luksImage())));
const SEALED = { iterations: 1000, salt: new Uint8Array(32).fill(3), stripes: 4000 };
const material = new Uint8Array(64_000).fill(9);

const sealedFor = (luks: StoredLuks, index: number) => ({
  slot: { ...SEALED, active: true, keyOffset: luks.header.slots[index]!.keyOffset },
  material,
});

test('a slot is filled before it counts, and that word comes alone', async () => {
  const luks = await stored();
  const steps = fillSlot(luks, 6, sealedFor(luks, 6));
  const lengths = steps.map((step) => step.map(({ bytes }) => bytes.length));
  expect(lengths).toEqual([[64_000, 48], [4]]);
  const [[key, fields], [word]] = steps as [[...(typeof steps)[0]], [...(typeof steps)[0]]];
  expect(key!.at).toBe(luks.at + luks.header.slots[6]!.keyOffset);
  expect(word!.at).toBe(luks.at + 208 + 6 * 48);
  expect(Math.floor(word!.at / 512)).toBe(Math.floor((word!.at + 3) / 512));
  expect([...fields!.bytes.subarray(0, 4)]).toEqual([0, 0, 0xde, 0xad]);
  expect([...word!.bytes]).toEqual([0, 0xac, 0x71, 0xf3]);
});

test('a slot is destroyed before it counts as empty', async () => {
  const luks = await stored();
  const slot = luks.header.slots[0]!;
  expect(materialBytes(luks, slot)).toBe(64_000);
  const steps = eraseSlot(luks, 0, material);
  expect(steps.map((step) => step.map(({ at }) => at - luks.at))).toEqual([[4096], [208]]);
  const fields = steps[1]![0]!.bytes;
  expect([...fields.subarray(0, 8)]).toEqual([0, 0, 0xde, 0xad, 0, 0, 0, 0]);
});

test('a used slot is overwritten while another one has the new passphrase', async () => {
  const luks = await stored();
  const spare = { index: 1, sealed: sealedFor(luks, 1) };
  const steps = overwriteSlot(luks, 0, sealedFor(luks, 0), spare, material);
  const slots = steps.map((step) => (step.at(-1)!.at - luks.at - 208) / 48);
  expect(slots.filter((slot) => Number.isInteger(slot) && slot < 8)).toEqual([1, 1, 0, 0, 0, 1]);
});

test('slots over each other, over the header or behind its clusters are not written', async () => {
  const luks = await stored();
  refuseOddSlots(luks);
  const moved = (index: number, keyOffset: number): StoredLuks => {
    const slots = luks.header.slots.map((slot, i) => (i === index ? { ...slot, keyOffset } : slot));
    return { ...luks, header: { ...luks.header, slots } };
  };
  for (const odd of [moved(1, 4096), moved(0, 512), moved(7, luks.bytes - 512)]) {
    expect(() => {
      refuseOddSlots(odd);
    }).toThrow(expect.objectContaining({ code: 'EXTENSION_INVALID' }));
  }
});
