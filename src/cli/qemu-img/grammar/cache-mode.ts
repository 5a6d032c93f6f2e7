/** Cache modes of `-t` and `-T`: how QEMU would open a file. Nothing about the result depends on it. */

const CACHE_MODES: ReadonlySet<string> = new Set([
  'none',
  'off',
  'directsync',
  'writeback',
  'unsafe',
  'writethrough',
]);

export function isCacheMode(name: string): boolean {
  return CACHE_MODES.has(name);
}
