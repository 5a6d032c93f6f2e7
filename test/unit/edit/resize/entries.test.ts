import { describe, expect, test } from 'vitest';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { clearEntries, standingAt, zeroSubclusters } from '../../../../src/edit/resize/entries.js';
import { loadFixture } from '../../../support/fixture.js';
import { setNewEntry } from '../../../../src/l1l2/new-entry.js';

describe.each(['cluster-512', 'extended-l2-16k'])('entries of %s', (name) => {
  test('what is set is what stands there', async () => {
    const image = await openImage(memoryDevice(loadFixture(name)));
    const words = new Uint32Array(16);
    const last = image.geometry.clusterBytes - 1;
    const at = 5 * image.geometry.clusterBytes;
    const standings = (): string[] =>
      [0, 1, 2].flatMap((i) => [0, last].map((within) => standingAt(words, i, within, image)));
    setNewEntry(words, 0, 'data', at, image.geometry);
    setNewEntry(words, 1, 'reserved-zero', at, image.geometry);
    setNewEntry(words, 2, 'zero', 0, image.geometry);
    expect(standings()).toEqual(['data', 'data', 'zero', 'zero', 'zero', 'zero']);
    clearEntries(words, 1, 3, image);
    expect(standings()).toEqual(['data', 'data', ...Array<string>(4).fill('unallocated')]);
    words[0]! |= 0x4000_0000;
    expect(standingAt(words, 0, 0, image)).toBe('compressed');
  });
});

test('subclusters read as zeros from one on, and those before it as they did', async () => {
  const image = await openImage(memoryDevice(loadFixture('extended-l2-16k')));
  const { clusterBytes } = image.geometry;
  const words = new Uint32Array(8);
  setNewEntry(words, 1, 'data', 5 * clusterBytes, image.geometry);
  zeroSubclusters(words, 1, 32);
  expect(standingAt(words, 1, clusterBytes - 1, image)).toBe('data');
  zeroSubclusters(words, 1, 3);
  const border = (3 * clusterBytes) / 32;
  expect([border - 1, border].map((within) => standingAt(words, 1, within, image))).toEqual([
    'data',
    'zero',
  ]);
});
