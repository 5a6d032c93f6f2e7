/** What `convert` says. As in `messages.ts`: what qemu-img 7.2 was seen to print. */
import type { Behaviour } from '../version/behaviour.js';

export const CONVERT = {
  snapshotKey: (key: string) => `Invalid parameter '${key}'`,
  snapshotParameter: (text: string) => `Failed in parsing snapshot param '${text}'`,
  snapshotIdTwice: (id: string) => `Duplicate ID '${id}' for snapshot`,
  shortForm: (typed: string, full: string) =>
    `warning: short-form boolean option '${typed}' deprecated\nPlease use ${full} instead`,
  sparseName: 'buffer size for sparse output',
  rateName: 'rate limit',
  sparseBytes:
    'Invalid buffer size for sparse output specified. Valid sizes are multiples of 512 up to ' +
    '16777216. Select 0 to disable sparse detection (fully allocates output).',
  coroutines: (text: string, isNone: boolean, { quotedByteCounts, version }: Behaviour) => {
    if (!quotedByteCounts) {
      return 'Invalid number of coroutines. Allowed number of coroutines is between 1 and 16';
    }
    const stop = version === 'debian-10.0' ? '.' : '';
    return isNone
      ? `Invalid number of coroutines specified: '${text}'${stop}`
      : 'Invalid number of coroutines specified. Must be between 1 and 16.';
  },
  offloadAndCompress: 'Cannot enable copy offloading when -c is used',
  offloadAndSparse: 'Cannot enable copy offloading when -S is used',
  offloadAndSalvage: 'Cannot use copy offloading in salvaging mode',
  targetOptsNeedN: '--target-image-opts requires use of -n flag',
  optionsWithN: '-o has no effect when skipping image creation',
  targetIsZeroNeedsN: '--target-is-zero requires use of -n flag',
  skipNeedsBitmaps: 'Use of --skip-broken-bitmaps requires --bitmaps',
  noFile: 'Must specify image file name',
  bitmapsOfOne: 'Copying bitmaps only possible with single source',
  snapshotOfOne: 'No support for concatenating multiple snapshot',
  unknownFormat: (name: string) => `Unknown file format '${name}'`,
  unknownProtocol: (name: string) => `Unknown protocol '${name}'`,
  noCreation: (name: string) => `Format driver '${name}' does not support image creation`,
  backingOfRaw: "Backing file not supported for file format 'raw'",
  backingFormatOfRaw: "Backing file format not supported for file format 'raw'",
  zeroWithBacking: 'Cannot use --target-is-zero when the destination image has a backing file',
  backingOfMany:
    'Having a backing file for the target makes no sense when concatenating multiple input images',
  backingFormatNeeded: 'Use of backing file requires explicit backing format',
  compressionOfRaw: 'Compression not supported for this file format',
  compressionAndEncryption: 'Compression and encryption not supported at the same time',
  compressionAndPreallocation: 'Compression and preallocation not supported at the same time',
  cache: (mode: string) => `Invalid cache option: ${mode}`,
  sourceCache: (mode: string) => `Invalid source cache option: ${mode}`,
  noBitmapsThere: 'Source lacks bitmap support',
  noBitmapsIn: (format: string) => `Format driver '${format}' does not support bitmaps`,
  brokenBitmap: (name: string) =>
    `Cannot copy inconsistent bitmap '${name}'\n` +
    "Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove' to delete it",
  skippedBitmap: (name: string) => `warning: Skipping inconsistent bitmap '${name}'`,
  bitmapNotMade: (name: string, reason: string) => `Failed to create bitmap ${name}: ${reason}`,
  bitmapNotFilled: (name: string, reason: string) => `Failed to populate bitmap ${name}: ${reason}`,
  failed: (shown: string, format: string, reason: string) =>
    `${shown}: error while converting ${format}: ${reason}`,
  couldNotCreate: (shown: string, reason: string) => `Could not create '${shown}': ${reason}`,
  targetTooSmall: 'output file is smaller than input file',
  readFailed: (at: number, reason: string) => `error while reading at byte ${at}: ${reason}`,
  writeFailed: (at: number, reason: string) => `error while writing at byte ${at}: ${reason}`,
  statusFailed: (at: number, reason: string) =>
    `error while reading block status at offset ${at}: ${reason}`,
  salvaged: (at: number, reason: string) => `warning: error while reading offset ${at}: ${reason}`,
} as const;

/** What is refused by name where QEMU would do it. */
export const CONVERT_REFUSED = {
  bitmapsBeside: '--bitmaps does not go with an external data file here: use qemu-img for it',
  bitmapsOfSnapshot:
    '--bitmaps would copy those of the disk as it is now, and not as it was in the snapshot: leave -l or --bitmaps out',
  format: (name: string) =>
    `the output format '${name}' is not supported, only qcow2 and raw are: use qemu-img for it`,
  compressedData: '-c has no place in an external data file: leave -c or data_file out',
  backingOfExisting: '-B with -n is not supported: use qemu-img for it',
  dataFileOfTarget: (shown: string) =>
    `'${shown}' has an external data file, into which -n does not write here: use qemu-img for it`,
  compressedInto: (shown: string) =>
    `-c with -n is for an empty image, and '${shown}' is not empty: leave -c out, or convert to a new image`,
} as const;

/** How a file that somebody uses, we ourselves among them, is refused. */
export function lockedText(shown: string): string {
  return `Failed to get "write" lock\nIs another process using the image [${shown}]?`;
}
