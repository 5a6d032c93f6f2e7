/** `-o` of `amend`: what is asked of the image, and whether QEMU takes that. */
import { backingFormat, type OpenImage } from '../../../index.js';
import type { ArgvContext } from '../grammar/argv.js';
import { byteString, bytesOf } from '../grammar/bytes.js';
import { AMEND } from '../messages/amend.js';
import { NEW_IMAGE } from '../messages/create.js';
import { KEY_SLOTS } from '../messages/encryption.js';
import {
  isForCreation,
  isOn,
  isPowerOfTwo,
  parseOptionValues,
  type GivenOptions,
  type OptionType,
} from '../create/new-image-options.js';
import { Refusal } from '../refusal.js';

import { keySlotOptions, type KeySlotOptions } from './key-slots.js';

const OPTIONS: Readonly<Record<string, OptionType>> = {
  backing_file: 'str',
  backing_fmt: 'str',
  compat: 'str',
  data_file: 'str',
  data_file_raw: 'bool',
  'encrypt.iter-time': 'num',
  'encrypt.keyslot': 'num',
  'encrypt.new-secret': 'str',
  'encrypt.old-secret': 'str',
  'encrypt.state': 'str',
  lazy_refcounts: 'bool',
  refcount_bits: 'num',
  size: 'size',
};

/** What it is to say of its data file. */
interface DataFile {
  readonly name: Uint8Array | undefined;
  readonly raw: false | undefined;
}

/** What an image is to be; undefined: as it is. */
export interface WantedOptions {
  readonly version: 2 | 3 | undefined;
  readonly keySlots: KeySlotOptions | undefined;
  readonly refcountBits: number | undefined;
  readonly changesBacking: boolean;
  readonly dataFile: DataFile | undefined;
  readonly lazyRefcounts: boolean | undefined;
  readonly diskSizeBytes: bigint | undefined;
}

/** @throws Refusal for what is no option, and what QEMU refuses before it changes anything. */
export function parseAmendOptions(
  text: string,
  image: OpenImage,
  context: ArgvContext,
): WantedOptions {
  const fail = (reason: string): Refusal => new Refusal(reason);
  const unknown = (key: string): Refusal =>
    fail(
      isForCreation(key, context.behaviour)
        ? AMEND.onlyForCreation(key)
        : NEW_IMAGE.invalidParameter(key),
    );
  const known = Object.assign(Object.create(null) as object, OPTIONS);
  const given = parseOptionValues(text, known, context, fail, unknown);
  const level = given.get('compat');
  const version = level === undefined ? undefined : LEVELS.get(level);
  if (level !== undefined && version === undefined) throw fail(AMEND.unknownLevel(level));
  const keySlots = keySlotOptions(given);
  if (keySlots !== undefined) refuseOtherEncryption(image);
  const refcountBits = refcountBitsOf(given);
  const dataFile = dataFileOf(given, image);
  const [lazy, size] = [given.get('lazy_refcounts'), given.get('size')];
  return {
    version,
    keySlots,
    refcountBits,
    dataFile,
    changesBacking: changesBacking(given, image),
    lazyRefcounts: lazy === undefined ? undefined : isOn(lazy),
    // QEMU: no size at all.
    diskSizeBytes: size === undefined || size === '0' ? undefined : BigInt(size),
  };
}

const LEVELS: ReadonlyMap<string, 2 | 3> = new Map([
  ['0.10', 2],
  ['v2', 2],
  ['1.1', 3],
  ['v3', 3],
]);

function refuseOtherEncryption({ header }: OpenImage): void {
  if (header.encryption === 'none') throw new Refusal(AMEND.notEncrypted);
  if (header.encryption === 'aes') throw new Refusal(KEY_SLOTS.onlyLuks);
}

function refcountBitsOf(given: GivenOptions): number | undefined {
  const text = given.get('refcount_bits');
  if (text === undefined) return undefined;
  const bits = BigInt(text);
  if (!isPowerOfTwo(bits) || bits > 64n) throw new Refusal(AMEND.refcountBits);
  return Number(bits);
}

function dataFileOf(given: GivenOptions, { header }: OpenImage): DataFile | undefined {
  const [name, raw] = [given.get('data_file'), given.get('data_file_raw')];
  if (name !== undefined && !header.externalDataFile) throw new Refusal(AMEND.noDataFile);
  if (isOn(raw) && !header.rawExternalData) throw new Refusal(AMEND.rawDataFile);
  if (name === '') throw new Refusal(AMEND.namelessDataFile);
  const staysRaw = raw === undefined || isOn(raw) || !header.rawExternalData;
  if (name === undefined && staysRaw) return undefined;
  return {
    name: name === undefined ? undefined : bytesOf(name),
    raw: staysRaw ? undefined : false,
  };
}

/** Whether a backing file is named that is not the one that there is, its format included. */
function changesBacking(given: GivenOptions, image: OpenImage): boolean {
  const [name, format] = [given.get('backing_file'), given.get('backing_fmt')];
  if (name === undefined && format === undefined) return false;
  const { backingNameBytes } = image;
  const current = backingNameBytes === undefined ? undefined : byteString(backingNameBytes);
  return name !== current || format !== backingFormat(image);
}
