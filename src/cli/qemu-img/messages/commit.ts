/** What `commit` says. As in `messages.ts`: what qemu-img was seen to print. */

export const COMMIT = {
  cache: (mode: string) => `Invalid cache option: ${mode}`,
  rateName: 'rate limit',
  noBacking: 'Image does not have a backing file',
  notInChain: (base: string, image: string) =>
    `Did not find '${base}' in the backing chain of '${image}'`,
  done: 'Image committed.',
  failed: (reason: string) => `Could not commit the image: ${reason}`,
  /** Ours: QEMU changes what they show. */
  snapshots: (image: string, count: number) =>
    `'${image}' has ${count === 1 ? 'a snapshot' : `${count} snapshots`}, which would show what the ` +
    'backing file becomes: delete them, or say --force',
} as const;
