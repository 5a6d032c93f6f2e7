import { expect, test } from 'vitest';
import { keptAutoclear } from '../../../../src/edit/plan/autoclear.js';
import { memoryDevice, openImage } from '../../../../src/index.js';
import { loadFixture } from '../../../support/fixture.js';

async function kept(fixture: string, autoclear: number): Promise<bigint> {
  const bytes = loadFixture(fixture);
  bytes[95] = autoclear;
  return keptAutoclear(await openImage(memoryDevice(bytes)));
}

test('H3, H4: the bitmaps bit stays where there are bitmaps', async () => {
  expect(await kept('bitmaps', 1)).toBe(1n);
  expect(await kept('bitmaps', 0)).toBe(0n);
});

test('the bitmaps bit goes where there are none', async () => {
  expect(await kept('version-3', 1)).toBe(0n);
});

test('H3: unknown bits go', async () => {
  expect(await kept('bitmaps', 0xfd)).toBe(1n);
  expect(await kept('version-3', 0xfd)).toBe(0n);
});
