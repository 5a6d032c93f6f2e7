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
  unsafeOnly:
    'only rebase -u is supported, which changes the name alone: use qemu-img to keep the content',
} as const;
