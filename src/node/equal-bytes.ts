/** Whether two stretches of bytes are the same, by the system's own comparison. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
