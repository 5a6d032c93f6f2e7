import { loadFixture } from '../../support/fixture.js';

/** The first bytes of an image that QEMU made, with some of them written over. */
export function patchedHead(fixture: string, ...patches: readonly [number, string][]): Uint8Array {
  const bytes = loadFixture(fixture).slice(0, 4096);
  for (const [at, hex] of patches) bytes.set(new Uint8Array(Buffer.from(hex, 'hex')), at);
  return bytes;
}

/** Bytes from hexadecimal digits; blanks are for the reader. */
export function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
}
