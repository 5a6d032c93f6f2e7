/** What `compare` says. As in `messages.ts`: what qemu-img 7.2 was seen to print. */

export const COMPARE = {
  twoFiles: 'Expecting two image file names',
  sourceCache: (mode: string) => `Invalid source cache option: ${mode}`,
  identical: 'Images are identical.',
  sizesDiffer: 'Warning: Image size mismatch!',
  contentDiffers: (offset: number) => `Content mismatch at offset ${offset}!`,
  strictSizes: 'Strict mode: Image size mismatch!',
  strictStatus: (offset: number) => `Strict mode: Offset ${offset} block status mismatch!`,
  readFailed: (offset: number, shown: string, reason: string) =>
    `Error while reading offset ${offset} of ${shown}: ${reason}`,
  statusFailed: (shown: string) => `Sector allocation test failed for ${shown}`,
} as const;
