import { expect } from 'vitest';
import {
  checkImage,
  memoryDevice,
  openQcow,
  type OpenQcowOptions,
  type QcowImage,
} from '../../../src/index.js';
import { nodeCryptography, nodeDecompressor } from '../../../src/node/index.js';
import { sameBytes } from '../../../src/base/text.js';
import { loadFixture } from '../../support/fixture.js';

/** An image in memory, as the facade opens it, and what it lies in. */
export interface Opened {
  readonly image: QcowImage;
  readonly device: ReturnType<typeof memoryDevice>;
}

/** A fixture in memory, for writing, with what disks take. */
export async function opened(name: string, options: OpenQcowOptions = {}): Promise<Opened> {
  const device = memoryDevice(loadFixture(name), name);
  const platform = { decompressor: nodeDecompressor(), cryptography: nodeCryptography() };
  return { device, image: await openQcow(device, { ...platform, ...options }) };
}

/** Closes the image, and holds what is left of it to a full check. */
export async function closedSound({ image, device }: Opened): Promise<void> {
  const bytes = device.snapshotBytes();
  await image.close();
  const { findings } = await checkImage(memoryDevice(bytes));
  // Notes are of no consequence, such as flags that nobody reads.
  expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
}

/** Compared as a whole: element by element takes a second for each MiB. */
export function expectSame(a: Uint8Array, b: Uint8Array): void {
  expect(sameBytes(a, b)).toBe(true);
}

export const namesOf = (image: QcowImage): readonly string[] =>
  image.snapshots.map(({ name }) => name);
