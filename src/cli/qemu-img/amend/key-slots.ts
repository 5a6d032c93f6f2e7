/** `amend -o encrypt.…`: which key slots are filled, and which erased. */
import { isQsnapError, openImage, type OpenImage } from '../../../index.js';
import {
  changeKeys,
  eraseSlot,
  fillSlot,
  materialBytes,
  openSlot,
  openSlots,
  overwriteSlot,
  readLuks,
  refuseOddSlots,
  sealSlot,
  type KeyStep,
  type SealedSlot,
  type StoredLuks,
} from '../../../internal.js';
import { nodeCryptography } from '../../../node/index.js';
import type { GivenOptions } from '../create/new-image-options.js';
import type { QemuImgIo } from '../disks/io.js';
import { keyMaker } from '../disks/key-maker.js';
import { openingReason, type EditableFile } from '../disks/opened.js';
import { passphraseOf } from '../disks/secrets.js';
import type { Target } from '../disks/target.js';
import { couldNotOpen, sentenceOf } from '../messages.js';
import { KEY_SLOTS } from '../messages/encryption.js';
import { NEW_IMAGE } from '../messages/create.js';
import { Refusal } from '../refusal.js';

/** What is to become of key slots; as typed. */
export interface KeySlotOptions {
  readonly state: string | undefined;
  readonly newSecret: string | undefined;
  readonly oldSecret: string | undefined;
  readonly keySlot: bigint | undefined;
  readonly milliseconds: number | undefined;
}

/** @returns undefined where nothing is said of them. */
export function keySlotOptions(given: GivenOptions): KeySlotOptions | undefined {
  if (![...given.keys()].some((key) => key.startsWith('encrypt.'))) return undefined;
  const number = (key: string): bigint | undefined => {
    const text = given.get(key);
    return text === undefined ? undefined : BigInt(text);
  };
  const time = number('encrypt.iter-time');
  return {
    state: given.get('encrypt.state'),
    newSecret: given.get('encrypt.new-secret'),
    oldSecret: given.get('encrypt.old-secret'),
    keySlot: number('encrypt.keyslot'),
    milliseconds: time === undefined ? undefined : Number(BigInt.asUintN(64, time)),
  };
}

/** What key slots are changed with. */
export interface Keyring {
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** Of an image with LUKS: what its key slots hold. */
  readonly masterKey: Uint8Array | undefined;
  /** Do what loses the data, too. */
  readonly force: boolean;
}

/** @throws Refusal as QEMU does when it opens the image: without the passphrase, or with a wrong one. */
export async function masterKeyOf(
  image: OpenImage,
  target: Target,
  secrets: ReadonlyMap<string, Uint8Array>,
): Promise<Uint8Array | undefined> {
  const { encryption } = image.header;
  if (encryption === 'none') return undefined;
  const fail = (reason: string): Refusal => couldNotOpen(target.operand, reason);
  const passphrase = passphraseOf(target.keySecret, secrets, fail);
  if (encryption === 'aes') return undefined;
  try {
    const luks = await readLuks(image);
    return (await openSlots(image.source, luks, passphrase, nodeCryptography())).key;
  } catch (error) {
    throw isQsnapError(error) ? fail(openingReason(error, target, true)) : error;
  }
}

const MILLISECONDS = 2000;
const fail = (reason: string): Refusal => new Refusal(reason);

/** @throws Refusal in QEMU's words. */
export async function changeKeySlots(
  file: EditableFile,
  options: KeySlotOptions,
  keyring: Keyring,
  io: QemuImgIo,
): Promise<void> {
  const { state } = options;
  if (state === undefined) throw fail(NEW_IMAGE.missing('state'));
  if (state !== 'active' && state !== 'inactive') throw fail(NEW_IMAGE.notAccepted('state', state));
  try {
    const image = await openImage(file);
    const luks = await readLuks(image);
    refuseOddSlots(luks);
    const steps =
      state === 'active'
        ? await filled(luks, options, keyring)
        : await erased(image, luks, options, keyring);
    await io.interruptible((signal) => changeKeys(image, steps, { signal }));
  } catch (error) {
    throw isQsnapError(error) ? fail(sentenceOf(error)) : error;
  }
}

async function filled(
  luks: StoredLuks,
  { newSecret, oldSecret, keySlot, milliseconds = MILLISECONDS }: KeySlotOptions,
  { secrets, masterKey, force }: Keyring,
): Promise<readonly KeyStep[]> {
  if (newSecret === undefined) throw fail(KEY_SLOTS.newSecretNeeded);
  if (oldSecret !== undefined) throw fail(KEY_SLOTS.oldSecretGiven);
  const { slots } = luks.header;
  const free = slots.findIndex(({ active }) => !active);
  const index = keySlot === undefined ? free : slotOf(keySlot, luks);
  if (index === -1) throw fail(KEY_SLOTS.allUsed);
  const isUsed = slots[index]!.active;
  if (isUsed && !force) throw fail(KEY_SLOTS.used(index));
  const passphrase = passphraseOf(newSecret, secrets, fail);
  const seal = (slot: number): Promise<SealedSlot> =>
    sealSlot(luks.header, slots[slot]!, masterKey!, { passphrase, milliseconds }, keyMaker());
  if (!isUsed) return fillSlot(luks, index, await seal(index));
  if (free === -1) throw fail(KEY_SLOTS.noSpare(index));
  const spare = { index: free, sealed: await seal(free) };
  return overwriteSlot(luks, index, await seal(index), spare, noiseFor(luks, index));
}

async function erased(
  image: OpenImage,
  luks: StoredLuks,
  options: KeySlotOptions,
  keyring: Keyring,
): Promise<readonly KeyStep[]> {
  if (options.newSecret !== undefined) throw fail(KEY_SLOTS.newSecretGiven);
  if (options.milliseconds !== undefined) throw fail(KEY_SLOTS.timeGiven);
  const indexes = await slotsToErase(image, luks, options, keyring);
  return indexes.flatMap((index) => eraseSlot(luks, index, noiseFor(luks, index)));
}

async function slotsToErase(
  image: OpenImage,
  luks: StoredLuks,
  { oldSecret, keySlot }: KeySlotOptions,
  { secrets, force }: Keyring,
): Promise<readonly number[]> {
  const old = oldSecret === undefined ? undefined : passphraseOf(oldSecret, secrets, fail);
  const isOpenedBy = async (index: number): Promise<boolean> =>
    (await openSlot(image.source, luks, index, old!, nodeCryptography())) !== undefined;
  const used = [...luks.header.slots.entries()].flatMap(([i, { active }]) => (active ? [i] : []));
  if (keySlot !== undefined) {
    const index = slotOf(keySlot, luks);
    if (old !== undefined && !(await isOpenedBy(index))) throw fail(KEY_SLOTS.otherPassword(index));
    if (force) return [index];
    if (!used.includes(index)) throw fail(KEY_SLOTS.unused(index));
    if (used.length === 1) throw fail(KEY_SLOTS.onlyOne(index));
    return [index];
  }
  if (old === undefined) throw fail(KEY_SLOTS.nothingNamed);
  const matching: number[] = [];
  for (const index of used) if (await isOpenedBy(index)) matching.push(index);
  if (matching.length === 0) throw fail(KEY_SLOTS.noneMatches);
  if (matching.length === used.length && !force) throw fail(KEY_SLOTS.allMatch);
  return matching;
}

function slotOf(keySlot: bigint, { header }: StoredLuks): number {
  if (keySlot >= 0n && keySlot < BigInt(header.slots.length)) return Number(keySlot);
  throw fail(KEY_SLOTS.outOfRange(keySlot));
}

function noiseFor(luks: StoredLuks, index: number): Uint8Array {
  return keyMaker().random(materialBytes(luks, luks.header.slots[index]!));
}
