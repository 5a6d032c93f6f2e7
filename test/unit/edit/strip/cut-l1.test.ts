import { expect, test } from 'vitest';
import { cutL1 } from '../../../../src/edit/strip/cut-l1.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { buildImage } from '../../../support/image-builder.js';

/** An L1 of so many entries that are not 0, which lead nowhere that is read. */
const l1Of = (entries: number): Uint32Array => new Uint32Array(entries * 2).fill(0x1_0000);

test('whole tables go where the kept part ends with a table', async () => {
  const image = await openImage(memoryDevice(buildImage()));
  const { l2CoverageBytes } = image.geometry;
  const of = { diskSizeBytes: l2CoverageBytes, keptBytes: 2 * l2CoverageBytes };
  const cut = await cutL1(image, l1Of(5), of);
  expect(cut).toEqual({ words: l1Of(3), lastTable: undefined });
  expect(await cutL1(image, l1Of(3), of)).toBeUndefined();
  expect(await cutL1(image, l1Of(2), of)).toBeUndefined();
});

test('entries of 0 behind are nothing to take out', async () => {
  const image = await openImage(memoryDevice(buildImage()));
  const { l2CoverageBytes } = image.geometry;
  const l1 = l1Of(4);
  l1.fill(0, 2);
  expect(await cutL1(image, l1, { diskSizeBytes: l2CoverageBytes, keptBytes: 0 })).toBeUndefined();
});

test('a disk of no bytes keeps one entry, which is empty', async () => {
  const image = await openImage(memoryDevice(buildImage()));
  const cut = await cutL1(image, l1Of(2), { diskSizeBytes: 0, keptBytes: 0 });
  expect(cut?.words).toEqual(new Uint32Array(2));
});
