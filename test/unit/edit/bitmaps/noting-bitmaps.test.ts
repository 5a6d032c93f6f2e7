import { expect, test } from 'vitest';
import { BitmapContent } from '../../../../src/edit/bitmaps/bitmap-content.js';
import { planWrite } from '../../../../src/edit/write/plan-write.js';
import { executePlan, memoryDevice, openImage } from '../../../../src/index.js';
import { plainBitmaps } from '../../../support/bitmap-bits.js';
import { loadFixture } from '../../../support/fixture.js';
import { checkImage } from '../../../support/image-builder.js';

type Range = readonly [at: number, length: number, kind: 'data' | 'zero'];

async function written(fixture: string, ranges: readonly Range[]) {
  const device = memoryDevice(loadFixture(fixture));
  const image = await openImage(device);
  const content = memoryDevice(new Uint8Array(image.header.diskSizeBytes).fill(7));
  const changes = ranges.map(([at, length, kind]) => ({ at, length, kind }));
  await executePlan(await planWrite(image, { changes, content, disk: content }));
  const bytes = device.snapshotBytes();
  expect(checkImage(bytes)).toEqual({ corruptions: [], leaks: [] });
  return plainBitmaps(Buffer.from(bytes)).map(({ name, flags, set }) => [name, flags, set]);
}

test('bitmaps that note changes have data and zeros, rounded to what a bit stands for', async () => {
  expect(
    await written('bitmaps', [
      [4096 * 30 + 512, 512, 'data'],
      [4096 * 40 - 512, 1024, 'zero'],
    ]),
  ).toEqual([
    ['daily', 2, '8-23 30-30 39-40'],
    ['weekly', 0, ''],
  ]);
});

test('a bitmap that was not saved properly stays as it is', async () => {
  expect(await written('bitmaps-in-use', [[0, 4096, 'data']])).toEqual([['daily', 3, '']]);
});

test('a cluster of bits that are all set takes no room', async () => {
  const image = await openImage(memoryDevice(loadFixture('bitmaps')));
  const content = new BitmapContent(image, 512, 2 ** 40);
  const perCluster = image.geometry.clusterBytes * 8;
  await content.note(0, 512 * (perCluster + 8));
  await content.note(512, 1024);
  const [first, second, ...others] = content.clusters.values();
  expect(first).toBe('ones');
  expect((second as Uint8Array).slice(0, 2)).toEqual(Uint8Array.of(0xff, 0));
  expect(others).toEqual([]);
});
