/** What `amend` says. As in `messages.ts`: what qemu-img was seen to print. */
import { isQsnapError, type OpenImage } from '../../../index.js';
import { sentenceOf } from '../messages.js';
import { Refusal } from '../refusal.js';

const elsewhere = 'is not made here: use qemu-img for it';
const needsV3 = 'compatibility level 1.1 and above (use compat=1.1 or greater)';

export const AMEND = {
  optionsNeeded: 'Must specify options (-o)',
  unsupportedFormat: (name: string) => `Format driver '${name}' does not support option amendment`,
  onlyForCreation: (key: string) =>
    `Invalid parameter '${key}'\nThis option is only supported for image creation`,
  cache: (mode: string) => `Invalid cache option: ${mode}`,
  unknownLevel: (level: string) => `Unknown compatibility level ${level}`,
  notEncrypted: "Can't amend encryption options - encryption not present",
  refcountBits: 'Refcount width must be a power of two and may not exceed 64 bits',
  refcountBitsVersion:
    'Refcount widths other than 16 bits require compatibility level 1.1 or above (use compat=1.1 ' +
    'or greater)',
  otherRefcountBits: `another width of refcounts ${elsewhere}`,
  noDataFile: 'data-file can only be set for images that use an external data file',
  namelessDataFile: 'without a name of its data file nobody could open the image',
  rawDataFile: 'data-file-raw cannot be set on existing images',
  backingFile: "Cannot amend the backing file\nYou can use 'qemu-img rebase' instead.",
  downgradeDataFile: 'Cannot downgrade an image with a data file',
  lazyVersion: `Lazy refcounts only supported with ${needsV3}`,
  negativeSize: 'Image size cannot be negative',
  shrinks: (size: bigint, current: number) =>
    `the disk has ${current} bytes, and with ${size} it would lose what lies behind: resize --shrink ` +
    'does that',
} as const;

/** Why an image can't become one of version 2; by the structure that stands in the way. */
const DOWNGRADE: Readonly<Record<string, (image: OpenImage) => string>> = {
  'refcount block': () => 'compat=0.10 requires refcount_bits=16',
  'snapshot table': () => 'Internal snapshots prevent downgrade of image',
  header: ({ header }) =>
    `Cannot downgrade an image with incompatible features 0x${header.incompatible.toString(16)} set`,
  'L2 table': () =>
    'Cannot downgrade an image with zstd compression type and existing compressed clusters',
};

/** The error in QEMU's words, or in the engine's where QEMU has none. */
export function amendFailed(error: unknown, image: OpenImage): unknown {
  if (!isQsnapError(error)) return error;
  const { code, details } = error;
  const said = code === 'DOWNGRADE_REFUSED' ? DOWNGRADE[details.structure ?? ''] : undefined;
  return new Refusal(said?.(image) ?? sentenceOf(error));
}

/** `-o help`. */
export const AMEND_HELP: readonly string[] = [
  "Amend options for 'qcow2':",
  '  backing_file=<str>     - File name of a base image',
  '  backing_fmt=<str>      - Image format of the base image',
  '  compat=<str>           - Compatibility level (v2 [0.10] or v3 [1.1])',
  '  data_file=<str>        - File name of an external data file',
  '  data_file_raw=<bool (on/off)> - The external data file must stay valid as a raw image',
  '  encrypt.iter-time=<num> - Time to spend in PBKDF in milliseconds',
  '  encrypt.keyslot=<num>  - Select a single keyslot to modify explicitly',
  '  encrypt.new-secret=<str> - New secret to set in the matching keyslots. Empty string to erase',
  '  encrypt.old-secret=<str> - Select all keyslots that match this password',
  '  encrypt.state=<str>    - Select new state of affected keyslots (active/inactive)',
  '  lazy_refcounts=<bool (on/off)> - Postpone refcount updates',
  '  refcount_bits=<num>    - Width of a reference count entry in bits',
  '  size=<size>            - Virtual disk size',
];
