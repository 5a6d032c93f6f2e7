import { describe, expect, test } from 'vitest';
import { refuseUncountable, refuseUnfit } from '../../../../src/edit/plan/refuse.js';
import { checkImage, memoryDevice, openImage, type OpenImage } from '../../../../src/index.js';
import { loadFixture } from '../../../support/fixture.js';
import { damaged, EXAMPLES } from '../../read/check/examples.js';

/** A fixture with an incompatible feature bit set: 1 dirty, 2 corrupt. */
async function marked(name: string, bits: number): Promise<OpenImage> {
  const bytes = loadFixture(name);
  bytes[79] = bytes[79]! | bits;
  return openImage(memoryDevice(bytes));
}

test('H2, H16: dirty and corrupt images are refused, with what to do', async () => {
  const dirty = await marked('five-snapshots', 1);
  expect(() => {
    refuseUnfit(dirty);
  }).toThrow(expect.objectContaining({ code: 'IMAGE_DIRTY' }) as Error);
  const corrupt = await marked('five-snapshots', 2);
  expect(() => {
    refuseUnfit(corrupt);
  }).toThrow(expect.objectContaining({ code: 'IMAGE_MARKED_CORRUPT' }) as Error);
});

// Stock qemu-img 7.2 drops every snapshot when it repairs an image with persistent bitmaps.
test('S9, H16: nobody is sent to a repair that drops their snapshots', async () => {
  const image = await marked('bitmaps-snapshots', 1);
  const details = expect.objectContaining({
    hint: 'a repair mends it and takes the mark away',
  }) as unknown;
  expect(() => {
    refuseUnfit(image);
  }).toThrow(expect.objectContaining({ details }) as Error);
});

// QEMU opens no such image: an edit would be the only thing that can still be done with it.
describe('bitmaps that QEMU can not load', () => {
  const refusal = async (code: 'BITMAP_UNREADABLE' | 'BITMAP_TABLE_TOO_LONG'): Promise<unknown> => {
    const { bytes, at } = damaged(EXAMPLES[code]);
    const image = await openImage(memoryDevice(bytes));
    try {
      refuseUnfit(image);
    } catch (error) {
      expect(error).toMatchObject({
        code: 'IMAGE_DAMAGED',
        details: {
          structure: 'bitmap directory',
          at,
          hint: 'QEMU opens no such image either; a check says what mends it',
        },
      });
      return (error as Error).message;
    }
    return 'none';
  };

  test('by a field of the directory', async () => {
    expect(await refusal('BITMAP_UNREADABLE')).toBe(
      'the image is damaged: bitmap "daily" can\'t be loaded: it has granularity bits 200',
    );
  });

  test('by a table longer than the disk takes', async () => {
    expect(await refusal('BITMAP_TABLE_TOO_LONG')).toBe(
      'the image is damaged: bitmap "daily" can\'t be loaded: its table has 2 entries, and the disk takes 1',
    );
  });

  test('one that was not saved properly is not loaded, and stays', async () => {
    const image = await openImage(memoryDevice(loadFixture('bitmaps-in-use')));
    expect(image.bitmaps.some(({ inUse }) => inUse)).toBe(true);
    expect(() => {
      refuseUnfit(image);
    }).not.toThrow();
  });
});

// QEMU judges the place even where no snapshots are, and opens no such image.
test('a snapshot table of no snapshots, where none can be', async () => {
  const bytes = loadFixture('no-snapshots');
  bytes[70] = 2;
  const image = await openImage(memoryDevice(bytes));
  expect(() => {
    refuseUnfit(image);
  }).toThrow('the header counts no snapshots, and has their table at 0x200, where none can be');
  expect((await checkImage(memoryDevice(bytes))).exitCode).toBe(1);
});

test('R11: more clusters than the largest refcount table counts', async () => {
  const image = await openImage(memoryDevice(loadFixture('cluster-512')));
  const most = (2 ** 23 / 8) * image.geometry.refcountBlockEntries;
  expect(() => {
    refuseUncountable(most, image);
  }).not.toThrow();
  expect(() => {
    refuseUncountable(most + 1, image);
  }).toThrow('the edit needs a refcount table of 8388616 bytes');
});
