/** What `dd` says, as qemu-img was seen to print it. */
export const DD = {
  twoFiles: 'Must specify both input and output files',
  operand: (name: string) => `unrecognized operand ${name}`,
  blockBytes: 'Invalid bs specified. Must be between 1 and 2147483647.',
  unknownFormat: 'Unknown file format',
  skipped: (name: string) => `${name}: cannot skip to specified offset`,
  notCreated: (name: string, reason: string) =>
    `${name}: error while creating output image: ${reason}`,
} as const;
