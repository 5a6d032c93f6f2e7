/** QEMU's wording for new images: `create`, `measure`, and `-o`. */
import type { Behaviour } from '../version/behaviour.js';

/** A size given as the value of an option. */
export const SIZE_PARAMETER = {
  invalid: (name: string) =>
    `Parameter '${name}' expects a non-negative number below 2^64\n` +
    'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n' +
    'and exabytes, respectively.',
  outOfRange: (name: string, text: string) =>
    `Value '${text}' is out of range for parameter '${name}'`,
} as const;

const needsV3 = '(use version=v3 or greater)';

export const NEW_IMAGE = {
  noFileName: 'Expecting image file name',
  unexpected: (argument: string) => `Unexpected argument: ${argument}`,
  invalidList: (text: string) => `Invalid option list: ${text}`,
  invalidParameter: (key: string) => `Invalid parameter '${key}'`,
  noBool: (key: string) => `Parameter '${key}' expects 'on' or 'off'`,
  noNumber: (key: string) => `Parameter '${key}' expects a number`,
  hexSuffix: (text: string) =>
    `warning: Using a multiplier suffix on hex numbers is deprecated: ${text}`,
  unknownFormat: (name: string) => `Unknown file format '${name}'`,
  sizeTwice: 'The image size must be specified only once',
  sizeMissing: 'Image creation needs a size parameter',
  noBackingFor: (format: string) => `Backing file not supported for file format '${format}'`,
  noBackingFormatFor: (format: string) =>
    `Backing file format not supported for file format '${format}'`,
  emptyBackingName: 'Expected backing file name, got empty string',
  ownBacking: 'Error: Trying to create an image with the same filename as the backing file',
  noBackingFormat: 'Backing file specified without backing format',
  detectedFormat: (format: string) => `Detected format of ${format}.`,
  backingNotOpened: 'Could not open backing image.',
  notCreated: (name: string, reason: string) => `Could not create '${name}': ${reason}`,
  ownDataFile: 'the image and its data file would be the same file',
  missing: (key: string) => `Parameter '${key}' is missing`,
  notAccepted: (key: string, value: string) =>
    `Parameter '${key}' does not accept value '${value}'`,
  invalidValue: (value: string) => `invalid parameter value: ${value}`,
  negativeSize: 'Could not resize image: Image size cannot be negative',
  tooLarge: (format: string) => {
    const hint = format === 'qcow2' ? ' (try using a larger cluster size)' : '';
    return `The image size is too large for file format '${format}'${hint}`;
  },
  huge: (size: bigint) => `the disk size is ${size}, more than qsnap handles (2^53 - 1)`,
  noPreallocation: (mode: string) => `Unsupported preallocation mode: ${mode}`,
  backingNameTooLong: (name: string, format: string, bytes: number) =>
    `Could not assign backing file '${name}' with format '${format}': ` +
    (bytes > 1023 ? 'Invalid argument' : 'No space left on device'),
  hintIgnored: (key: string) =>
    `warning: the hint '${key}' to the file system is not supported, and ignored`,
} as const;

/** What only some options, or only some together, may have. */
export const OPTION_CONFLICTS = {
  clusterSize: 'Cluster size must be a power of two between 512 and 2048k',
  extendedL2Version: `Extended L2 entries are only supported with compatibility level 1.1 and above ${needsV3}`,
  extendedL2Cluster:
    'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes',
  preallocatedBacking:
    'Backing file and preallocation can only be used at the same time if extended_l2 is on',
  formatAlone: 'Backing format cannot be used without backing file',
  lazyVersion: `Lazy refcounts only supported with compatibility level 1.1 and above ${needsV3}`,
  refcountWidth: 'Refcount width must be a power of two and may not exceed 64 bits',
  refcountVersion: `Different refcount widths than 16 bits require compatibility level 1.1 or above ${needsV3}`,
  rawBacking: 'Backing file and data-file-raw cannot be used at the same time',
  dataFileVersion: `External data files are only supported with compatibility level 1.1 and above ${needsV3}`,
  rawAlone: 'data-file-raw requires data-file',
  keptAlone: "Must not use 'keep_data_file=on' without 'data_file'",
  keptAndFilled:
    "Preallocating more than only metadata would overwrite the external data file's content and is " +
    "therefore incompatible with 'keep_data_file=on'",
  keptUnseen:
    "'keep_data_file=on' requires 'preallocation=metadata' or 'data_file_raw=on', or the file contents " +
    'will not be visible',
  compressionVersion: `Non-zlib compression type is only supported with compatibility level 1.1 and above ${needsV3}`,
} as const;

/** What `-o help` prints for each option. */
const OPTION_HELP: Readonly<Record<string, string>> = {
  backing_file: 'backing_file=<str>     - File name of a base image',
  backing_fmt: 'backing_fmt=<str>      - Image format of the base image',
  cluster_size: 'cluster_size=<size>    - qcow2 cluster size',
  compat: 'compat=<str>           - Compatibility level (v2 [0.10] or v3 [1.1])',
  compression_type:
    'compression_type=<str> - Compression method used for image cluster compression',
  data_file: 'data_file=<str>        - File name of an external data file',
  data_file_raw:
    'data_file_raw=<bool (on/off)> - The external data file must stay valid as a raw image',
  'encrypt.cipher-alg': 'encrypt.cipher-alg=<str> - Name of encryption cipher algorithm',
  'encrypt.cipher-mode': 'encrypt.cipher-mode=<str> - Name of encryption cipher mode',
  'encrypt.format': "encrypt.format=<str>   - Encrypt the image, format choices: 'aes', 'luks'",
  'encrypt.hash-alg': 'encrypt.hash-alg=<str> - Name of encryption hash algorithm',
  'encrypt.iter-time': 'encrypt.iter-time=<num> - Time to spend in PBKDF in milliseconds',
  'encrypt.ivgen-alg': 'encrypt.ivgen-alg=<str> - Name of IV generator algorithm',
  'encrypt.ivgen-hash-alg': 'encrypt.ivgen-hash-alg=<str> - Name of IV generator hash algorithm',
  'encrypt.key-secret':
    'encrypt.key-secret=<str> - ID of secret providing qcow AES key or LUKS passphrase',
  encryption:
    "encryption=<bool (on/off)> - Encrypt the image with format 'aes'. (Deprecated in favor of encrypt.format=aes)",
  extended_l2: 'extended_l2=<bool (on/off)> - Extended L2 tables',
  extent_size_hint: 'extent_size_hint=<size> - Extent size hint for the image file, 0 to disable',
  keep_data_file:
    'keep_data_file=<bool (on/off)> - Assume the external data file already exists and do not overwrite it',
  lazy_refcounts: 'lazy_refcounts=<bool (on/off)> - Postpone refcount updates',
  nocow: 'nocow=<bool (on/off)>  - Turn off copy-on-write (valid only on btrfs)',
  preallocation:
    'preallocation=<str>    - Preallocation mode (allowed values: off, metadata, falloc, full)',
  refcount_bits: 'refcount_bits=<num>    - Width of a reference count entry in bits',
  size: 'size=<size>            - Virtual disk size',
};

const OF_FILES = ['extent_size_hint', 'nocow'];

/**
 * The lines of `-o help`.
 *
 * @param hasName whether a file was named: then options of files are among them.
 */
export function optionHelp(
  format: 'qcow2' | 'raw',
  hasName: boolean,
  { keepDataFile }: Behaviour,
): string[] {
  const isRaw = format === 'raw';
  const keys = Object.keys(OPTION_HELP).filter((key) => {
    if (isRaw)
      return key === 'size' || (hasName && (OF_FILES.includes(key) || key === 'preallocation'));
    if (key === 'keep_data_file') return keepDataFile;
    return hasName || !OF_FILES.includes(key);
  });
  const lines = keys.map((key) => {
    const isFilesOwn = isRaw && key === 'preallocation';
    return `  ${isFilesOwn ? OPTION_HELP[key]!.replace(' metadata,', '') : OPTION_HELP[key]!}`;
  });
  if (hasName) return ['Supported options:', ...lines];
  return [
    `Supported ${format} options:`,
    ...lines,
    '',
    'The protocol level may support further options.',
    'Specify the target filename to include those options.',
  ];
}
