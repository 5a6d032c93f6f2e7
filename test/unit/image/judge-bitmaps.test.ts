import { describe, expect, test } from 'vitest';
import { judgeBitmap, judgeBitmapEntry } from '../../../src/image/judge-bitmaps.js';
import { memoryDevice, openImage } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';

// QEMU opens an image, or does not, as said here: test/oracle/parity-check.test.ts.
describe('a bitmap by its directory entry', () => {
  const judged = async (
    change: { granularityBytes?: number; entries?: number; inUse?: boolean; problem?: string },
    diskSizeBytes = 64 * 2 ** 20,
  ): Promise<unknown> => {
    const image = await openImage(memoryDevice(loadFixture('bitmaps')));
    const [bitmap] = image.bitmaps;
    const { entries = 1, granularityBytes = 65_536, inUse = false, problem } = change;
    const table = { at: 65_536, entries };
    return judgeBitmap(
      { ...bitmap!, granularityBytes, inUse, problem, table },
      { geometry: image.geometry, header: { ...image.header, diskSizeBytes } },
    );
  };

  test('fits the disk', async () => {
    expect(await judged({})).toBeUndefined();
  });

  test('can not be right by itself, whether it is in use or not', async () => {
    const unreadable = { kind: 'unreadable', problem: 'has no table' };
    expect(await judged({ problem: 'has no table' })).toEqual(unreadable);
    expect(await judged({ problem: 'has no table', inUse: true })).toEqual(unreadable);
  });

  test('is too short for the disk: a cluster has 8 bits a byte, each for the granularity', async () => {
    const { geometry } = await openImage(memoryDevice(loadFixture('bitmaps')));
    const most = geometry.clusterBytes * 8 * 65_536;
    expect(await judged({}, most)).toBeUndefined();
    expect(await judged({}, most + 512)).toEqual({
      kind: 'unreadable',
      problem: 'is too short for the disk',
    });
  });

  test('is longer than the disk takes', async () => {
    expect(await judged({ entries: 2 })).toEqual({ kind: 'table-too-long', entries: 2, needed: 1 });
  });

  test('is not loaded, being in use: then its table has any length', async () => {
    expect(await judged({ entries: 2, inUse: true })).toBeUndefined();
    expect(await judged({ inUse: true }, 2 ** 40)).toBeUndefined();
  });
});

test.each([
  [0, 0, undefined],
  [0, 1, undefined],
  [0, 0x10000, undefined],
  [0x00ff_ffff, 0xffff_0000, undefined],
  [0, 0x10001, 'reserved-bits'],
  [0, 2, 'reserved-bits'],
  [0x0100_0000, 0x10000, 'reserved-bits'],
  [0, 0x10200, 'misaligned'],
])('an entry of a bitmap table, %i and %i: %s', (high, low, problem) => {
  expect(judgeBitmapEntry(high, low, 65_536)).toBe(problem);
});
