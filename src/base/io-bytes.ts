/**
 * Allocators put 16 bytes of their own before large blocks, so that these begin 16 bytes after a
 * multiple of 64. Ours: measured, the system copies to and from there at a quarter of its speed.
 */
const SKIPPED_BYTES = 48;

/**
 * Zeroed memory for many large reads and writes, so placed that the system copies to and from it
 * quickly. A `Uint8Array` of its own is as right, and slower.
 */
export function newIoBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length + SKIPPED_BYTES), SKIPPED_BYTES, length);
}
