/** QEMU's wording in `measure`. */
export const MEASURE = {
  needsSource: 'Either --size N or one filename must be specified.',
  oneFile: 'At most one filename argument is allowed.',
  sizeAndFile: '--size N cannot be used together with a filename.',
  needsFile: '--image-opts, -f, and -l require a filename argument.',
  invalidOptions: (format: string) => `Invalid options for file format '${format}'`,
  invalidLevel: (level: string) => `Invalid compatibility level: '${level}'`,
  refcountVersion:
    'Different refcount widths than 16 bits require compatibility level 1.1 or above (use ' +
    'compat=1.1 or greater)',
  tooLarge: 'The image size is too large (try using a larger cluster size)',
  noMeasurement: (format: string) =>
    `measuring the image format '${format}' is not supported, only qcow2 and raw are: use qemu-img for it`,
  lines: (required: number | bigint, fullyAllocated: number | bigint) => [
    `required size: ${required}`,
    `fully allocated size: ${fullyAllocated}`,
  ],
  bitmapsLine: (bytes: number) => `bitmaps size: ${bytes}`,
} as const;
