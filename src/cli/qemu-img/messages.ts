/**
 * QEMU's wording lies here and, by subject, in `messages-*.ts`. Each text is one that qemu-img 7.2 was seen to
 * print. Where qsnap refuses an image that QEMU takes, the engine's own sentence stands. All texts are byte
 * strings.
 */
import type { QsnapError } from '../../index.js';
import { hintOf } from '../hints.js';
import { byteStringOfText } from './grammar/bytes.js';
import type { Behaviour } from './version/behaviour.js';
import { BITMAP } from './messages/bitmap.js';
import { Refusal } from './refusal.js';

/** What `--object` and `--image-opts` are refused with. */
export const OPTION_STRINGS = {
  typeMissing: "Parameter 'qom-type' is missing",
  typeUnknown: (type: string) => `Parameter 'qom-type' does not accept value '${type}'`,
  idMissing: "Parameter 'id' is missing",
  idInvalid:
    "Parameter 'id' expects an identifier\n" +
    "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.",
  idTwice: (id: string) => `attempt to add duplicate property '${id}' to object (type 'container')`,
  notText: (key: string) => `Invalid parameter type for '${key}', expected: string`,
  invalidKey: (key: string) => `Invalid parameter '${key}'`,
  unexpected: (key: string) => `Parameter '${key}' is unexpected`,
  noSecret: "Either 'file' or 'data' must be provided",
  twoSecrets: "'file' and 'data' are mutually exclusive",
  noDriver: 'Must specify either driver or file',
  noFile: 'A block device must be specified for "file"',
  noSuchNode: (name: string) => `Cannot find device='${name}' nor node-name='${name}'`,
  noSuchOption: (driver: string, key: string) =>
    `Block format '${driver}' does not support the option '${key}'`,
} as const;

export function couldNotOpen(shown: string, reason: string): Refusal {
  return new Refusal(`Could not open '${shown}': ${reason}`);
}

export const OPEN_REASONS = {
  brokenBitmap: (name: string) => `Bitmap '${name}' doesn't satisfy the constraints`,
  unreadableBitmap: (name: string, error: string) =>
    `Could not read bitmap '${name}' from image: ${error}`,
  forceShareForEdit: 'force-share=on can only be used with read-only images',
  unknownDriver: (name: string) => `Unknown driver '${name}'`,
  unknownProtocol: (name: string) => `Unknown protocol '${name}'`,
  noFileName: "The 'file' block driver requires a file name",
  notInQcow2Format: 'Image is not in qcow2 format',
  markedCorrupt: 'qcow2: Image is corrupt; cannot be opened read/write',
  dataFileMissing: "'data-file' is required for this image",
  unsupportedFormat: (name: string) =>
    `the image format '${name}' is not supported, only qcow2 and raw are: use qemu-img for it`,
  unsupportedProtocol: (name: string) =>
    `the protocol '${name}' is not supported, only files are: use qemu-img for it`,
  unsupportedOption: (key: string) =>
    `the option '${key}' is not supported in --image-opts: use qemu-img for it`,
  pathNotUtf8: 'a path has to be valid UTF-8 here',
} as const;

/** What QEMU says of a raw image whose format it had to guess, before it opens it for writing. */
export function guessedRawWarning(shown: string): string {
  return (
    `WARNING: Image format was not specified for '${shown}' and probing guessed raw.\n` +
    '         Automatically detecting the format is dangerous for raw images, write operations ' +
    'on block 0 will be restricted.\n' +
    "         Specify the 'raw' format explicitly to remove the restrictions."
  );
}

/** QEMU prints it without a line end. */
export const INCONSISTENT_BITMAPS_WARNING =
  'warning: a program lacking bitmap support modified this file, so all bitmaps are now ' +
  "considered inconsistent\nSome clusters may be leaked, run 'qemu-img check -r' on the image " +
  'file to fix.';

export const INFO = {
  cache: (mode: string) => `Invalid cache option: ${mode}`,
  loop: (name: string) => `Backing file '${name}' creates an infinite loop.`,
} as const;

/** The C library's words for what may go wrong with a file. */
const SYSTEM_TEXTS: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EBUSY: 'Device or resource busy',
  EDQUOT: 'Disk quota exceeded',
  EFBIG: 'File too large',
  EINVAL: 'Invalid argument',
  EIO: 'Input/output error',
  EISDIR: 'Is a directory',
  ELOOP: 'Too many levels of symbolic links',
  EMFILE: 'Too many open files',
  ENAMETOOLONG: 'File name too long',
  ENFILE: 'Too many open files in system',
  ENOENT: 'No such file or directory',
  ENOMEDIUM: 'No medium found',
  ENOSPC: 'No space left on device',
  ENOTDIR: 'Not a directory',
  ENXIO: 'No such device or address',
  EPERM: 'Operation not permitted',
  EROFS: 'Read-only file system',
  ETXTBSY: 'Text file busy',
};

export function sentenceOf(error: QsnapError): string {
  const hint = hintOf(error);
  return byteStringOfText(hint === undefined ? error.message : `${error.message} (${hint})`);
}

/** How a file was to be opened, for the words about a failure. */
export interface OpenAttempt {
  readonly path: string;
  readonly forEdit: boolean;
  /** What lies at the path, if it is no file. */
  readonly isDirectory: boolean;
  readonly isSocket: boolean;
}

/** Why an image could not be opened: what follows `Could not open 'FILE': `. */
export function openReason(error: QsnapError, attempt: OpenAttempt): string {
  return (
    FILE_REASONS[error.code]?.(error, attempt) ??
    FORMAT_REASONS[error.code]?.(error) ??
    sentenceOf(error)
  );
}

type Code = QsnapError['code'];

/** What the C library says of an error number; undefined for one that is not in the list. */
export function systemText(systemCode: string): string | undefined {
  return SYSTEM_TEXTS[systemCode];
}

function systemReason(path: string, systemCode: string): string | undefined {
  const text = SYSTEM_TEXTS[systemCode];
  return text === undefined ? undefined : `Could not open '${path}': ${text}`;
}

/** What the file itself, or somebody who has it, stands against. */
const FILE_REASONS: Partial<
  Record<Code, (error: QsnapError, attempt: OpenAttempt) => string | undefined>
> = {
  OPEN_FAILED: (error, { path }) => systemReason(path, error.details.systemCode ?? ''),
  NOT_A_FILE: (_, { path, forEdit, isSocket, isDirectory }) => {
    if (isSocket) return systemReason(path, 'ENXIO');
    if (isDirectory && forEdit) return systemReason(path, 'EISDIR');
    return `'file' driver requires '${path}' to be a regular file`;
  },
  IMAGE_IN_USE: (_, { path, forEdit }) =>
    `Failed to get ${forEdit ? '' : 'shared '}"write" lock\n` +
    `Is another process using the image [${path}]?`,
};

/** An image that is not as it should be. */
const FORMAT_REASONS: Partial<Record<Code, (error: QsnapError) => string | undefined>> = {
  NOT_QCOW2: () => OPEN_REASONS.notInQcow2Format,
  QCOW_VERSION_1: versionReason,
  UNSUPPORTED_VERSION: versionReason,
  IMAGE_TRUNCATED: ({ details }) =>
    details.structure === 'header' ? 'qcow2 header too short' : undefined,
  UNSUPPORTED_FEATURE: (error) => `Unsupported qcow2 feature(s): ${featureNames(error)}`,
  EXTENSION_INVALID: ({ details }) =>
    details.structure === 'header extension' ? 'Header extension too large' : undefined,
  HEADER_INVALID: (error) => HEADER_REASONS[error.details.at!]?.(error.details.actual!, error),
  TABLE_INVALID: ({ details }) =>
    TABLE_REASONS[details.at!]?.(details.actual!, details.expected ?? ''),
  SNAPSHOT_TABLE_INVALID: snapshotTableReason,
  PASSPHRASE_WRONG: () => 'Invalid password, cannot unlock any keyslot',
};

function versionReason(error: QsnapError): string {
  return `Unsupported qcow2 version ${/\d+/.exec(error.details.actual!)![0]}`;
}

/** The features that the image names itself, then the bits that nobody names, in hex. */
function featureNames({ details }: QsnapError): string {
  const features = details.features ?? [];
  const names = features.flatMap(({ name }) =>
    // A name from the image makes no line of its own.
    name === undefined ? [] : [byteStringOfText(name.replaceAll('\n', '\\n'))],
  );
  const rest = features.reduce(
    (mask, { bit, name }) => (name === undefined ? mask | (1n << BigInt(bit)) : mask),
    0n,
  );
  if (rest !== 0n) names.push(`Unknown incompatible feature: ${rest.toString(16)}`);
  return names.join(', ');
}

/** By the position of the wrong field in the header. */
const HEADER_REASONS: Readonly<
  Record<number, (actual: string, error: QsnapError) => string | undefined>
> = {
  8: backingNameReason,
  20: (actual, error) =>
    (error.details.expected ?? '').startsWith('cluster_bits')
      ? `Unsupported subcluster size: ${2 ** Number(actual) / 32}`
      : `Unsupported cluster size: 2^${actual}`,
  // QEMU prints this one as a signed number.
  32: (actual) => `Unsupported encryption method ${Number(actual) | 0}`,
  96: () => 'Reference count entry width too large; may not exceed 64 bits',
  100: (actual) => {
    if (Number(actual) < 104) return 'qcow2 header too short';
    return Number(actual) % 8 === 0 ? 'qcow2 header exceeds cluster size' : undefined;
  },
  104: compressionTypeReason,
};

function backingNameReason(actual: string, error: QsnapError): string {
  const offset = BigInt(/0x[0-9a-f]+/.exec(actual)?.[0] ?? '0');
  const clusterBytes = BigInt(/(\d+)$/.exec(error.details.expected ?? '')?.[1] ?? '0');
  return offset > clusterBytes ? 'Invalid backing file offset' : 'Backing file name too long';
}

function compressionTypeReason(actual: string): string {
  const type = Number(/\d+/.exec(actual)?.[0] ?? '0');
  if (type > 1) return `qcow2: unknown compression type: ${type}`;
  const state = type === 0 ? 'must not be set' : 'must be set';
  return `qcow2: Compression type incompatible feature bit ${state}`;
}

/** By the position of the field that says where or how long the table is. */
const TABLE_REASONS: Readonly<Record<number, (actual: string, expected: string) => string>> = {
  36: (actual, expected) => {
    if (Number(actual) * 8 > 32 * 1024 * 1024) return 'Active L1 table too large';
    const needed = Number(/^at least (\d+)/.exec(expected)?.[1] ?? '0');
    return needed > 2 ** 31 - 1 ? 'Image is too big' : 'L1 table is too small';
  },
  40: () => 'Active L1 table offset invalid',
  48: () => 'Reference count table offset invalid',
  56: (actual) =>
    actual.startsWith('0 ')
      ? 'Image does not contain a reference count table'
      : 'Reference count table too large',
  64: () => 'Snapshot table offset invalid',
};

function snapshotTableReason(error: QsnapError): string | undefined {
  if (error.details.at === 60) return 'Snapshot table too large';
  const { entry } = error.details;
  if (entry === undefined || !error.message.endsWith('bytes of extra data')) return undefined;
  return (
    `Too much extra metadata in snapshot table entry ${entry}\n` +
    'You can force-remove this extra metadata with qemu-img check -r all'
  );
}

export type Action = 'create' | 'apply' | 'delete';

/** Why an action on a snapshot was not done. */
export function actionFailed(action: Action, name: string, reason: string): Refusal {
  return new Refusal(`Could not ${action} snapshot '${name}': ${reason}`);
}

export const ACTION_REASONS = {
  notFound: 'snapshot not found',
  notFoundToApply: 'Failed to load snapshot: No such file or directory',
  bitmaps: 'Device has active dirty bitmaps',
  noSnapshots: 'Block driver does not support snapshots',
  applyUnsupported: 'Failed to load snapshot: Operation not supported',
  dataFile: (image: string) =>
    `'${image}' keeps its guest data in an external data file, where nothing is written: ` +
    'use qemu-img for it',
} as const;

/** Error numbers that QEMU shows when an edit fails. */
const EDIT_ERRNO: Partial<Record<QsnapError['code'], readonly [number, string]>> = {
  REFCOUNT_OVERFLOW: [22, 'Invalid argument'],
  EXTERNAL_DATA_FILE: [95, 'Operation not supported'],
  SIZE_DIFFERS_IN_V2: [95, 'Operation not supported'],
  TOO_MANY_SNAPSHOTS: [27, 'File too large'],
  NO_SPACE: [28, 'No space left on device'],
  READ_FAILED: [5, 'Input/output error'],
  WRITE_FAILED: [5, 'Input/output error'],
};

function createFailed(
  name: string,
  number: number,
  text: string,
  { unnumberedErrors }: Behaviour,
): Refusal {
  return actionFailed('create', name, unnumberedErrors ? text : `-${number} (${text})`);
}

/** Of what can have no snapshots. */
export function createUnsupported(name: string, behaviour: Behaviour): Refusal {
  return createFailed(name, ...EDIT_ERRNO.EXTERNAL_DATA_FILE!, behaviour);
}

/** An edit's failure in QEMU's words, or in the engine's where QEMU has none. */
export function editFailed(
  action: Action,
  name: string,
  error: QsnapError,
  behaviour: Behaviour,
): Refusal {
  if (action === 'apply' && error.code === 'BITMAPS_PRESENT') {
    return actionFailed(action, name, ACTION_REASONS.bitmaps);
  }
  const known = EDIT_ERRNO[error.code];
  if (known === undefined) return actionFailed(action, name, sentenceOf(error));
  const [number, text] = known;
  if (action === 'create') return createFailed(name, number, text, behaviour);
  if (action === 'delete') return actionFailed(action, name, text);
  const before =
    error.code === 'SIZE_DIFFERS_IN_V2'
      ? [{ named: "Can't resize a v2 image which has snapshots" }]
      : [];
  return new Refusal(
    `Could not apply snapshot '${name}': Failed to load snapshot: ${text}`,
    before,
  );
}

/** What is wrong with a number of bytes. */
export const BYTE_COUNT = {
  invalid: (what: string, text: string, { quotedByteCounts, version }: Behaviour): Refusal => {
    if (quotedByteCounts) {
      const stop = version === 'debian-10.0' ? '.' : '';
      return new Refusal(`Invalid ${what} specified: '${text}'${stop}`);
    }
    const named = `Invalid ${what} specified. You may use k, M, G, T, P or E suffixes for`;
    return new Refusal('kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.', [
      { named },
    ]);
  },
  outOfRange: (what: string) =>
    `Invalid ${what} specified. Must be between 0 and 9223372036854775807.`,
} as const;

/** What is wrong with a size or what goes with it. */
export const SIZE_REASONS = {
  invalid:
    "Parameter 'size' expects a non-negative number below 2^64\n" +
    'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n' +
    'and exabytes, respectively.',
  outOfRange: (text: string) => `Value '${text}' is out of range for parameter 'size'`,
  hexSuffix: (text: string) =>
    `warning: Using a multiplier suffix on hex numbers is deprecated: ${text}`,
  unknownPreallocation: (mode: string) => `Invalid preallocation mode '${mode}'`,
} as const;

export const RESIZE_REASONS = {
  notPositive: 'New image size must be positive',
  onlyGrowing: 'Preallocation can only be used for growing images',
  shrinkNeeded: 'Use the --shrink option to perform a shrink operation.',
  shrinkWarning:
    "warning: Shrinking an image will delete all data beyond the shrunken image's end. Before " +
    'performing such an operation, make sure there is no important data there.',
  noMetadata: 'Unsupported preallocation mode: metadata',
  fileTooLarge: 'Could not resize file: File too large',
} as const;

/** A resize's failure in QEMU's words, or in the engine's where QEMU has none. */
export function resizeFailed(error: QsnapError): Refusal {
  return new Refusal(RESIZE_ERRORS[error.code]?.(error) ?? sentenceOf(error));
}

const RESIZE_ERRORS: Partial<Record<Code, (error: QsnapError) => string | undefined>> = {
  SIZE_INVALID: () => 'The new size must be a multiple of 512',
  SIZE_DIFFERS_IN_V2: () => "Can't resize a v2 image which has snapshots",
  BITMAP_INCONSISTENT: ({ details }) => BITMAP.inconsistent(details.actual ?? ''),
  LIMIT_EXCEEDED: ({ details }) =>
    details.structure === 'active L1' ? 'Failed to grow the L1 table: File too large' : undefined,
  // Version 2 has no zero clusters to hide the backing file with.
  GROWTH_SHOWS_BACKING: ({ details }) =>
    details.structure === 'header'
      ? 'Failed to zero out new clusters: Operation not supported'
      : undefined,
  WRITE_FAILED: ({ details }) =>
    details.systemCode === 'EFBIG' ? RESIZE_REASONS.fileTooLarge : undefined,
};
