/**
 * A power cut while key slots of an image with LUKS are changed: the image stays sound, all else keeps its bytes, and at every
 * moment a passphrase opens it that opened it before, or one that is to open it. A passphrase that was to go does not come
 * back, and does not open the image where it says that the slot is empty.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { changeKeys } from '../../src/edit/keys/change-keys.js';
import { isQsnapError } from '../../src/errors.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { eraseSlot, fillSlot, overwriteSlot, type KeyStep } from '../../src/luks/change-slots.js';
import { sealSlot, type SealedSlot } from '../../src/luks/seal-slot.js';
import { nodeCryptography } from '../../src/node/index.js';
import { openSlot, openSlots, readLuks, type StoredLuks } from '../../src/read/guest/luks-keys.js';
import { checkPlain } from '../support/crash-judge.js';
import { luksImage, passphrase, steadyKeyMaker } from '../support/luks.js';
import { crashStates, recordingDevice } from '../support/recording-device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 5151);
const total = { states: 0 };
const noise = (bytes: number): Uint8Array => steadyKeyMaker('noise').random(bytes);
const MATERIAL = noise(64_000);

type Seal = (index: number, text: string) => Promise<SealedSlot>;
type Change = (luks: StoredLuks, seal: Seal) => Promise<readonly KeyStep[]>;

/** One passphrase in slot 0, and `second` in slots 6, of which the fields lie in two sectors, and 7. */
async function withThree(): Promise<Uint8Array> {
  const device = memoryDevice(await luksImage());
  for (const index of [6, 7]) {
    await change(device, async (luks, seal) => fillSlot(luks, index, await seal(index, 'second')));
  }
  return device.snapshotBytes();
}

async function change(device: ReturnType<typeof memoryDevice>, how: Change): Promise<void> {
  const image = await openImage(device);
  const luks = await readLuks(image);
  const { key } = await openSlots(device, luks, passphrase('first'), nodeCryptography());
  const seal: Seal = (index, text) => {
    const wanted = { passphrase: passphrase(text), milliseconds: 1 };
    return sealSlot(luks.header, luks.header.slots[index]!, key, wanted, steadyKeyMaker(text));
  };
  await changeKeys(image, await how(luks, seal));
}

const CHANGES: Readonly<Record<string, readonly [how: Change, before: string, after: string]>> = {
  'slot 3 is filled': [
    async (luks, seal) => fillSlot(luks, 3, await seal(3, 'third')),
    'first second',
    'first second third',
  ],
  'slot 6 is erased, whose fields lie in two sectors, and slot 7': [
    (luks) => Promise.resolve([...eraseSlot(luks, 6, MATERIAL), ...eraseSlot(luks, 7, MATERIAL)]),
    'first second',
    'first',
  ],
  'slot 0 is overwritten': [
    async (luks, seal) => {
      const spare = { index: 5, sealed: await seal(5, 'third') };
      return overwriteSlot(luks, 0, await seal(0, 'third'), spare, MATERIAL);
    },
    'first second',
    'second third',
  ],
};

/** Which of the passphrases open the image, if any key slot of it can be read. */
async function opening(bytes: Uint8Array): Promise<readonly string[]> {
  const device = memoryDevice(bytes);
  const luks = await readLuks(await openImage(device));
  const opened: string[] = [];
  for (const text of ['first', 'second', 'third']) {
    try {
      await openSlots(device, luks, passphrase(text), nodeCryptography());
      opened.push(text);
    } catch (error) {
      if (!isQsnapError(error) || error.code !== 'PASSPHRASE_WRONG') throw error;
    }
  }
  return opened;
}

/** The file without its LUKS header. */
function besides(bytes: Uint8Array, { at, bytes: length }: StoredLuks): string {
  const rest = [bytes.subarray(0, at), bytes.subarray(at + length)];
  return Buffer.concat(rest).toString('latin1');
}

/** Each slot that counts as empty, made to count as used: nothing may open it that was erased. */
async function hidden(bytes: Uint8Array, text: string): Promise<readonly number[]> {
  const device = memoryDevice(bytes);
  const luks = await readLuks(await openImage(device));
  const slots = luks.header.slots.map((slot) => ({ ...slot, active: true }));
  const shown = { ...luks, header: { ...luks.header, slots } };
  const found: number[] = [];
  for (const [index, { active, iterations }] of luks.header.slots.entries()) {
    if (active || iterations === 0) continue;
    const key = await openSlot(device, shown, index, passphrase(text), nodeCryptography());
    if (key !== undefined) found.push(index);
  }
  return found;
}

describe.each(Object.entries(CHANGES))('%s', (name, [how, before, after]) => {
  test('a cut leaves a passphrase that opens the image', async () => {
    const start = await withThree();
    const luks = await readLuks(await openImage(memoryDevice(start)));
    expect(await opening(start)).toEqual(before.split(' '));
    const device = recordingDevice(start);
    await change(device, how);
    expect(await opening(device.snapshotBytes())).toEqual(after.split(' '));
    const kept = before.split(' ').filter((text) => after.split(' ').includes(text));
    const gone = before.split(' ').filter((text) => !kept.includes(text));
    const added = after.split(' ').filter((text) => !kept.includes(text));
    const states = crashStates(device.log, start, { seed: SEED, subsetLimit: 2, samples: 1 });
    for (const { bytes, description } of states) {
      total.states += 1;
      const told = `seed ${SEED}, ${name}: ${description}`;
      expect(checkPlain(bytes), told).toEqual(checkPlain(start));
      expect(besides(bytes, luks), told).toBe(besides(start, luks));
      const opened = await opening(bytes);
      expect(opened, told).toEqual(expect.arrayContaining(kept));
      if (gone.length > 0 && added.length > 0) {
        expect(
          [...gone, ...added].some((text) => opened.includes(text)),
          told,
        ).toBe(true);
      }
      for (const text of gone) expect(await hidden(bytes, text), told).toEqual([]);
    }
  });
});

afterAll(() => {
  console.log(`seed ${SEED}: ${total.states} crash states of changed key slots judged`);
  expect(total.states).toBeGreaterThan(20);
});
