/**
 * Whether two stretches of bytes are the same, by the system's own comparison.
 *
 * ```ts
 * await using golden = await image.disk('golden');
 * const { same } = await compareDisks(disk.guest, golden.guest, { isEqual: equalBytes });
 * ```
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
