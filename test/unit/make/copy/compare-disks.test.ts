import { describe, expect, test } from 'vitest';
import { compareDisks } from '../../../../src/make/copy/compare-disks.js';
import { equalBytes } from '../../../../src/node/equal-bytes.js';
import { randomFrom, seedOf, type Random } from '../../../support/model-random.js';
import { diskOf, type Stretch } from './disks.js';

function data(length: number, fill: number | Uint8Array = 1): Stretch {
  return { length, kind: 'data', fill };
}

describe('the same', () => {
  test('zeros are zeros, however they are kept', async () => {
    const a = diskOf([
      { length: 4096, kind: 'unallocated' },
      data(4096, 0),
      { length: 512, kind: 'zero' },
    ]);
    const b = diskOf([data(512, 0), { length: 8192, kind: 'preallocated' }]);
    expect(await compareDisks(a, b)).toMatchObject({ same: true, ranges: [], differentBytes: 0 });
  });

  test('a longer disk that ends in zeros', async () => {
    const a = diskOf([data(1024), data(512, 0), { length: 512, kind: 'zero' }]);
    const report = await compareDisks(a, diskOf([data(1024)]));
    expect(report).toMatchObject({ same: true, diskBytes: [2048, 1024], comparedBytes: 2048 });
  });

  test('empty disks', async () => {
    expect(await compareDisks(diskOf([]), diskOf([]))).toMatchObject({ same: true });
  });
});

test('where they differ: to the byte first, then in sectors', async () => {
  const bytes = new Uint8Array(8192).fill(1);
  for (const at of [700, 1500, 1600, 5000]) bytes[at] = 2;
  const [a, b] = [diskOf([data(8192)]), diskOf([data(8192, bytes)])];
  const report = await compareDisks(a, b);
  expect(report).toMatchObject({ same: false, firstDifferenceAt: 700, rangeCount: 2 });
  expect(report.ranges).toEqual([
    { start: 512, length: 1536 },
    { start: 4608, length: 512 },
  ]);
  expect(report.differentBytes).toBe(2048);
  const kept = await compareDisks(a, b, { maxRanges: 1 });
  expect(kept).toMatchObject({ rangeCount: 2, differentBytes: 2048 });
  expect(kept.ranges).toEqual(report.ranges.slice(0, 1));
});

test('a longer disk that goes on differs there', async () => {
  const report = await compareDisks(diskOf([data(1024)]), diskOf([data(1024), data(512, 3)]));
  expect(report).toMatchObject({ same: false, firstDifferenceAt: 1024, differentBytes: 512 });
});

describe('disks of one image', () => {
  const placed = (place: Partial<Stretch>, reads?: { at: number; length: number }[]) =>
    diskOf(
      [
        { length: 4096, kind: 'data', ...place },
        { length: 512, kind: 'backing' },
      ],
      reads,
    );
  const here = { at: 65536, fill: 1 };

  test('what lies in the same place is not read', async () => {
    const reads: { at: number; length: number }[] = [];
    const disks = [placed(here, reads), placed(here, reads)] as const;
    const report = await compareDisks(...disks, { sameImage: true });
    expect(report).toMatchObject({ same: true, sharedBytes: 4608 });
    expect(reads).toEqual([]);
  });

  test('of two images the place says nothing', async () => {
    const report = await compareDisks(placed(here), placed({ ...here, fill: 2 }));
    expect(report).toMatchObject({ same: false, sharedBytes: 0 });
  });

  test.each<Partial<Stretch>>([{ at: 131072 }, { depth: 1 }, { kind: 'compressed' }])(
    'another place, layer or kind is read: %o',
    async (other) => {
      const b = placed({ ...here, fill: 2, ...other });
      const report = await compareDisks(placed(here), b, { sameImage: true });
      expect(report).toMatchObject({ same: false, sharedBytes: 512 });
    },
  );
});

test('the first difference can be enough, and a stop can be asked for', async () => {
  const long = 64 * 2 ** 20;
  const [a, b] = [diskOf([data(long, 1)]), diskOf([data(long, 2)])];
  const report = await compareDisks(a, b, { firstOnly: true });
  expect(report).toMatchObject({ same: false, firstDifferenceAt: 0 });
  expect(report.comparedBytes).toBeLessThan(10 * 2 ** 20);
  const stopped = compareDisks(a, b, { signal: AbortSignal.abort() });
  await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
});

function randomStretches(all: Uint8Array, random: Random): Stretch[] {
  const stretches: Stretch[] = [];
  for (let at = 0; at < all.length;) {
    const length = Math.min(all.length - at, 512 * (1 + random.below(4000)));
    const fill = all.subarray(at, at + length);
    const isZero = fill.every((byte) => byte === 0) && random.chance(0.7);
    stretches.push({ length, kind: isZero ? 'zero' : 'data', fill });
    at += length;
  }
  return stretches;
}

const seed = seedOf();
test(`random disks, against a plain comparison (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  for (let round = 0; round < 20; round += 1) {
    const size = 512 * (1 + random.below(8_000));
    const bytes = new Uint8Array(size);
    for (let i = 0; i < 20; i += 1) {
      bytes.fill(random.below(3), random.below(size), random.below(size));
    }
    const other = bytes.slice();
    for (let i = random.below(4); i > 0; i -= 1) other[random.below(size)]! ^= 1;
    const [a, b] = [bytes, other].map((all) => diskOf(randomStretches(all, random)));
    const isEqual = random.chance(0.5) ? equalBytes : undefined;
    const report = await compareDisks(a!, b!, { isEqual });
    const differing = bytes.reduce<number[]>((places, byte, at) => {
      if (byte !== other[at]) places.push(at);
      return places;
    }, []);
    expect(report.firstDifferenceAt).toBe(differing[0]);
    const sectors = new Set(differing.map((at) => Math.floor(at / 512)));
    expect(report.differentBytes).toBe(512 * sectors.size);
  }
});
