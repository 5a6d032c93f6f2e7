/**
 * An image for a way in which the format invites harm: a CVE of its readers, a claim that overflows,
 * a table that leads to itself. Each is a recipe; none is a file.
 */
import type { ErrorCode } from '../../../src/errors.js';
import { CLUSTER, patch, plainImage, type Patch, type PlainImageOptions } from './plain-image.js';
import { specimenOf, type Specimen } from './specimen.js';

export interface Trap {
  /** The traps (docs/traps.md) and CVEs that it is about, and what is claimed. */
  readonly name: string;
  readonly make: () => Specimen;
  /** How opening it for edits and reads ends. */
  readonly opens: true | ErrorCode;
}

export const MAX32 = 2 ** 32 - 1;
export const MAX64 = (1n << 64n) - 1n;

export function trap(
  name: string,
  opens: Trap['opens'],
  patches: readonly Patch[],
  options: PlainImageOptions = {},
): Trap {
  return {
    name,
    opens,
    make: () => {
      const image = plainImage(options);
      patch(image, patches);
      return specimenOf(image);
    },
  };
}

/** With other bytes somewhere, or another length. */
export function made(
  name: string,
  opens: Trap['opens'],
  make: () => Uint8Array,
  sizeBytes = 0,
): Trap {
  return { name, opens, make: () => specimenOf(make(), sizeBytes) };
}

export function patched(
  patches: readonly Patch[],
  options: PlainImageOptions = {},
  more: readonly (readonly [at: number, bytes: Uint8Array])[] = [],
): Uint8Array {
  const image = plainImage(options);
  patch(image, patches);
  for (const [offset, bytes] of more) image.set(bytes, offset);
  return image;
}

export const text = (words: string): Uint8Array => new Uint8Array(Buffer.from(words));

/** Every 64-bit entry of a cluster. */
export function fill(from: number, value: bigint): readonly Patch[] {
  return Array.from({ length: CLUSTER / 8 }, (_, i) => [from + i * 8, 8, value] as const);
}
