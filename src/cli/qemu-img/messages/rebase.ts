/** What `rebase` says. As in `messages.ts`: what qemu-img was seen to print. */

export const REBASE = {
  cache: (mode: string) => `Invalid cache option: ${mode}`,
  sourceCache: (mode: string) => `Invalid source cache option: ${mode}`,
  invalidFormat: (name: string) => `Invalid format name: '${name}'`,
  failed: (name: string, reason: string) =>
    `Could not change the backing file to '${name}': ${reason}`,
  formatNeeded: 'backing format must be specified',
  notSupported: 'Operation not supported',
  invalid: 'Invalid argument',
  noRoom: 'No space left in the file header',
  newBacking: (name: string, reason: string) =>
    `Could not open new backing file '${name}': ${reason}`,
  /** Ours: QEMU copies, and compresses; without `-u` alone. */
  compressed: 'rebase -c is not supported: what is copied is not compressed',
  /** Ours: QEMU changes what they show. */
  snapshots: (image: string, count: number) =>
    `'${image}' has ${count === 1 ? 'a snapshot' : `${count} snapshots`}, which would show what the ` +
    'new backing file holds: delete them, or say --force',
} as const;
