/** Of every fixture nothing is copied but metadata: what lies anywhere else is planted, and does not come along. */
import { expect, test } from 'vitest';
import { backingName, dataFileName, openForReading, type ReadableImage } from '../../src/index.js';
import { utf8Bytes } from '../../src/base/text.js';
import { memoryDevice } from '../../src/io/memory.js';
import { dehydrateImage } from '../../src/make/dehydrate/dehydrate-image.js';
import type { DehydrateOptions } from '../../src/make/dehydrate/dehydrate-options.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { metadataMask } from '../support/plain-metadata.js';

/** Damaged ones, of which plain code can't tell what is metadata, and ones that no program opens. */
const LEFT_OUT = new Set([
  ...['qcow-version-1', 'feature-incompatible-named', 'feature-incompatible-unknown'],
  ...['l2-past-end', 'l2-unaligned'],
]);
const FIXTURES = fixtureNames().filter((name) => !LEFT_OUT.has(name));
const SECRET = utf8Bytes('S3CR3T-of-a-guest');

async function dehydrated(bytes: Uint8Array, options: DehydrateOptions = {}): Promise<Uint8Array> {
  const copy = memoryDevice();
  await dehydrateImage(await openForReading(memoryDevice(bytes)), copy, options);
  return copy.snapshotBytes();
}

const holds = (bytes: Uint8Array, part: Uint8Array): boolean =>
  Buffer.from(bytes).includes(Buffer.from(part));

test.each(FIXTURES)('%s: what is planted beside metadata is not there', async (name) => {
  const bytes = loadFixture(name);
  const mask = metadataMask(bytes);
  for (let at = 0; at < bytes.length; at++) {
    if (mask[at] === 0) bytes[at] = SECRET[at % SECRET.length]!;
  }
  const kept = await dehydrated(bytes, { keepNames: true });
  const wanted = bytes.map((byte, at) => (mask[at] === 0 ? 0 : byte));
  expect(Buffer.from(kept).equals(wanted)).toBe(true);
  const other = await dehydrated(bytes);
  expect(other).toHaveLength(bytes.length);
  expect(other.every((byte, at) => mask[at] === 1 || byte === 0)).toBe(true);
});

/** What people wrote, or nobody knows, of at least four bytes; less is found by chance. */
function namesOf(image: ReadableImage): readonly Uint8Array[] {
  const extensions = image.extensions.filter(({ kind }) => kind === 'unknown');
  return [
    ...image.snapshots.map(({ nameBytes }) => nameBytes),
    ...image.snapshots.map(({ extraData }) => extraData.subarray(24)),
    ...image.bitmaps.map(({ nameBytes }) => nameBytes),
    ...[backingName(image), dataFileName(image)].map((name) => utf8Bytes(name ?? '')),
    ...extensions.map(({ bytes }) => bytes),
  ].filter((name) => name.length >= 4);
}

test.each(FIXTURES)('%s: no name is left', async (name) => {
  const bytes = loadFixture(name);
  const names = namesOf(await openForReading(memoryDevice(bytes)));
  const other = await dehydrated(bytes);
  expect(names.filter((one) => holds(other, one))).toEqual([]);
  const kept = await dehydrated(bytes, { keepNames: true });
  expect(names.filter((one) => !holds(kept, one))).toEqual([]);
});
