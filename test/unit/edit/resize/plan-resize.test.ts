import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../../../src/errors.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { planResize } from '../../../../src/edit/resize/plan-resize.js';
import type { ResizeOptions } from '../../../../src/edit/resize/resize-options.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { plainBitmaps } from '../../../support/bitmap-bits.js';
import { loadFixture } from '../../../support/fixture.js';
import { checkImage, layoutOf, readGuest, snapshotsOf } from '../../../support/image-builder.js';

async function resized(bytes: Uint8Array, options: ResizeOptions): Promise<Uint8Array> {
  const device = memoryDevice(bytes.slice());
  await executePlan(await planResize(await openImage(device), options));
  return device.snapshotBytes();
}

async function codeOf(fixture: string, options: ResizeOptions): Promise<string> {
  try {
    await resized(loadFixture(fixture), options);
  } catch (error) {
    if (isQsnapError(error)) return error.code;
    throw error;
  }
  return 'done';
}

const sizeOf = (fixture: string): number => layoutOf(loadFixture(fixture)).diskSizeBytes;
const active = (bytes: Uint8Array): Uint8Array => readGuest(bytes, layoutOf(bytes));

describe('a resize is refused', () => {
  test.each([
    ['to no size', 'version-3', { diskSizeBytes: 0 }, 'SIZE_INVALID'],
    ['to half a sector', 'version-3', { diskSizeBytes: 2 ** 30 + 256 }, 'SIZE_INVALID'],
    ['to part of a byte', 'version-3', { diskSizeBytes: 1024.5, shrink: true }, 'SIZE_INVALID'],
    ['to less, unless that is allowed', 'version-3', { diskSizeBytes: 512 }, 'SHRINK_NOT_ALLOWED'],
    [
      'to less, with preallocation',
      'version-3',
      { diskSizeBytes: 512, shrink: true, preallocation: 'full' },
      'PREALLOCATION_REFUSED',
    ],
    [
      'H12: in version 2, with snapshots',
      'vm-state-v2',
      { diskSizeBytes: 2 ** 40 },
      'SIZE_DIFFERS_IN_V2',
    ],
    [
      'H4: with a bitmap that was not saved properly',
      'bitmaps-in-use',
      { diskSizeBytes: 2 ** 40 },
      'BITMAP_INCONSISTENT',
    ],
    ['H4: past what a bitmap can note', 'bitmaps', { diskSizeBytes: 2 ** 45 }, 'LIMIT_EXCEEDED'],
    ['H8: with a data file', 'data-file', { diskSizeBytes: 2 ** 40 }, 'EXTERNAL_DATA_FILE'],
    ['past what an L1 can map', 'cluster-512', { diskSizeBytes: 2 ** 50 }, 'LIMIT_EXCEEDED'],
  ] as const)('%s', async (_, fixture, options, code) => {
    expect(await codeOf(fixture, options)).toBe(code);
  });
});

describe('H4: bitmaps go with the disk', () => {
  const before = loadFixture('bitmaps');
  const setIn = (bytes: Uint8Array): readonly string[] =>
    plainBitmaps(Buffer.from(bytes)).map(({ set }) => set);

  test.each([
    ['grows: what is new is not noted', 2 ** 40],
    ['shrinks: what goes is no longer noted', 20 * 4096 - 512],
    ['shrinks to what no bit stands for', 512],
    ['stays', sizeOf('bitmaps')],
  ])('a disk %s', async (_, diskSizeBytes) => {
    const after = await resized(before, { diskSizeBytes, shrink: true });
    expect(checkImage(after)).toEqual({ corruptions: [], leaks: [] });
    const end = Math.ceil(diskSizeBytes / 4096) - 1;
    expect(setIn(before)).toEqual(['8-23', '']);
    expect(setIn(after)).toEqual([end < 8 ? '' : `8-${Math.min(23, end)}`, '']);
  });

  test('bits behind the end do not come back', async () => {
    const less = await resized(before, { diskSizeBytes: 10 * 4096, shrink: true });
    const more = await resized(less, { diskSizeBytes: sizeOf('bitmaps') });
    expect(setIn(more)).toEqual(['8-9', '']);
  });

  test('where all bits are set, those of the rest are clear', async () => {
    const ones = new Uint8Array(before);
    const [bitmap] = (await openImage(memoryDevice(ones))).bitmaps;
    // Spec: Bitmap table. The cluster of bits that it had leaks.
    new DataView(ones.buffer).setBigUint64(bitmap!.table.at, 1n);
    const bits = Math.ceil(sizeOf('bitmaps') / 4096);
    expect(setIn(ones)[0]).toBe(`0-${bits - 1}`);
    const after = await resized(ones, { diskSizeBytes: 2 ** 40 });
    expect(setIn(after)[0]).toBe(`0-${bits - 1}`);
    expect(checkImage(after).corruptions).toEqual([]);
  });
});

const FIXTURES = ['cluster-512', 'extended-l2-16k', 'refcount-1', 'refcount-64', 'five-snapshots'];

describe.each(FIXTURES)('%s', (fixture) => {
  const bytes = loadFixture(fixture);
  const before = active(bytes);
  const snapshots = snapshotsOf(bytes).snapshots;

  test.each(['off', 'metadata', 'full'] as const)(
    'grows by what reads as zeros, preallocation %s',
    async (preallocation) => {
      // More than the rest of a table of the smallest clusters, and no whole cluster.
      const diskSizeBytes = sizeOf(fixture) + 100 * 512 + 3 * 2 ** 16;
      const after = await resized(bytes, { diskSizeBytes, preallocation });
      expect(checkImage(after)).toEqual({ corruptions: [], leaks: [] });
      const disk = active(after);
      expect(disk.length).toBe(diskSizeBytes);
      expect(Buffer.compare(disk.subarray(0, before.length), before)).toBe(0);
      expect(disk.subarray(before.length).every((byte) => byte === 0)).toBe(true);
    },
  );

  test('shrinks, and every snapshot keeps its size and its content', async () => {
    const diskSizeBytes = Math.floor(before.length / 1024) * 512;
    const after = await resized(bytes, { diskSizeBytes, shrink: true });
    expect(checkImage(after)).toEqual({ corruptions: [], leaks: [] });
    expect(Buffer.compare(active(after), before.subarray(0, diskSizeBytes))).toBe(0);
    const kept = snapshotsOf(after).snapshots;
    expect(kept.map(({ id, diskSizeBytes: size }) => [id, size])).toEqual(
      snapshots.map(({ id, diskSizeBytes: size }) => [id, size]),
    );
    kept.forEach((snapshot, i) => {
      expect(Buffer.compare(readGuest(after, snapshot), readGuest(bytes, snapshots[i]!))).toBe(0);
    });
  });
});
