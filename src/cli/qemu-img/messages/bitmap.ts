/** What `bitmap` says. As in `messages.ts`: what qemu-img was seen to print. */

/** QEMU makes up a name for each image that it opens, which tells nobody anything: another one each time. */
const NODE = '#block100';

export const BITMAP = {
  operands: 'Expecting filename and bitmap name',
  fileAlone: 'Expecting filename',
  nothingToDo: (removeAll: boolean) =>
    `Need at least one of --add, --remove, ${removeAll ? '--remove-all, ' : ''}--clear, --enable, ` +
    '--disable, or --merge',
  granularityName: 'granularity',
  granularityAlone: 'granularity only supported with --add',
  formatAlone: '-F only supported with -b',
  sourceAlone: 'Merge bitmap source file only supported with --merge',
  failed: (operation: string, name: string, reason: string) =>
    `Operation ${operation} on bitmap ${name} failed: ${reason}`,
  failedAll: (reason: string) => `Could not change the bitmaps: ${reason}`,
  notFound: (name: string) => `Dirty bitmap '${name}' not found`,
  exists: (name: string) => `Bitmap already exists: ${name}`,
  noName: 'Bitmap name cannot be empty',
  granularity: 'Granularity must be power of 2 and at least 512',
  inconsistent: (name: string) =>
    `Bitmap '${name}' is inconsistent and cannot be used\n` +
    'Try block-dirty-bitmap-remove to delete this bitmap from disk',
  otherSize: (bytes: number, source: number) =>
    `Bitmaps are of different sizes (destination size is ${bytes}, source size is ${source}) and ` +
    "can't be merged",
  rawFile: `Can't store persistent bitmaps to ${NODE}: Operation not supported`,
  notStored: (name: string, reason: string) =>
    `Can't make bitmap '${name}' persistent in '${NODE}': ${reason}`,
  longName: 'Name length exceeds maximum (1023 characters)',
  version2: 'Cannot store dirty bitmaps in qcow2 v2 files',
  tooLong: 'Too much space will be occupied by the bitmap. Use larger granularity',
  tooMany: 'Maximum number of persistent bitmaps is already reached',
  fullDirectory: 'Not enough space in the bitmap directory',
} as const;
