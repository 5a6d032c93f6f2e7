import { describe, expect, test } from 'vitest';
import {
  checkImage,
  createImage,
  editBitmaps,
  executePlan,
  memoryDevice,
  openImage,
  planBitmaps,
  planFeatureNames,
  type BitmapAction,
  type BlockDevice,
} from '../../../../src/index.js';
import type { NextBitmap } from '../../../../src/edit/bitmaps/next-bitmap.js';
import { refuseMany } from '../../../../src/edit/bitmaps/refuse.js';
import { setBacking } from '../../../../src/edit/header/set-backing.js';
import { plainBitmaps } from '../../../support/bitmap-bits.js';
import { loadFixture } from '../../../support/fixture.js';
import { PLAIN } from '../../../support/new-image.js';

type Memory = ReturnType<typeof memoryDevice>;

const fixture = (name: string): Memory => memoryDevice(loadFixture(name).slice());

async function fresh(options: Partial<typeof PLAIN> = {}): Promise<Memory> {
  const device = memoryDevice(new Uint8Array(0));
  await createImage(device, { ...PLAIN, ...options });
  return device;
}

const bitmapsOf = (device: Memory) => plainBitmaps(Buffer.from(device.snapshotBytes()));

async function expectSound(device: BlockDevice): Promise<void> {
  expect((await checkImage(device)).findings).toEqual([]);
}

const kindsOf = async (device: BlockDevice): Promise<string[]> =>
  (await openImage(device)).extensions.map(({ kind }) => kind).sort();

test('what is asked for is done in order, by one plan', async () => {
  const device = fixture('bitmaps');
  const plan = await planBitmaps(await openImage(device), [
    { kind: 'add', name: 'sum', enabled: false },
    { kind: 'merge', name: 'sum', from: 'daily' },
    { kind: 'enable', name: 'weekly' },
    { kind: 'clear', name: 'daily' },
  ]);
  expect(plan).toMatchObject({ operation: 'set', summary: 'change bitmaps 4 times' });
  const [daily, weekly] = bitmapsOf(device);
  await executePlan(plan);
  await expectSound(device);
  expect(bitmapsOf(device)).toEqual([
    { ...daily, set: '' },
    { ...weekly, flags: 2 },
    { ...daily, name: 'sum', flags: 0 },
  ]);
});

test('with the last bitmap the extension goes, and its bit', async () => {
  const device = fixture('bitmaps');
  const before = await openImage(device);
  expect((await planBitmaps(before, [{ kind: 'remove-all' }])).summary).toBe('remove all bitmaps');
  await editBitmaps(device, [
    { kind: 'remove', name: 'daily' },
    { kind: 'remove', name: 'weekly' },
  ]);
  await expectSound(device);
  const after = await openImage(device);
  expect(after.header.bitmapsConsistent).toBe(false);
  const kinds = before.extensions.map(({ kind }) => kind);
  expect(await kindsOf(device)).toEqual(kinds.filter((kind) => kind !== 'bitmaps').sort());
});

test('where all is free inside, the file does not grow', async () => {
  const device = fixture('bitmaps');
  await editBitmaps(device, [{ kind: 'add', name: 'x' }]);
  await editBitmaps(device, [{ kind: 'remove-all' }]);
  const bytes = device.snapshotBytes();
  const fixed = memoryDevice(bytes);
  const image = await openImage(fixed, { mayGrow: false });
  const plan = await planBitmaps(image, [{ kind: 'add', name: 'x' }]);
  expect(plan.facts.growthBytes).toBe(0);
  await executePlan(plan);
  await expectSound(fixed);
});

describe('the first sector', () => {
  test('feature names that have no place in it are put back behind it', async () => {
    const device = fixture('five-snapshots');
    const kinds = await kindsOf(device);
    const plan = await planBitmaps(await openImage(device), [{ kind: 'add', name: 'b' }]);
    await executePlan(plan);
    expect(plan.leftOut).toBeDefined();
    expect(await kindsOf(device)).toEqual(['bitmaps']);
    await executePlan((await planFeatureNames(await openImage(device), plan.leftOut))!);
    expect(await kindsOf(device)).toEqual(['bitmaps', ...kinds]);
    await expectSound(device);
  });

  test('the name of a backing file moves out of the way', async () => {
    for (const name of ['base', 'n'.repeat(700)]) {
      const device = await fresh();
      await setBacking(device, { name, format: 'raw' });
      const { backingNameBytes } = await openImage(device);
      for (const actions of [
        [{ kind: 'add', name: 'b' }],
        [{ kind: 'remove', name: 'b' }],
      ] satisfies BitmapAction[][]) {
        await editBitmaps(device, actions);
        const after = await openImage(device);
        expect(after.backingNameBytes).toEqual(backingNameBytes);
        expect(await kindsOf(device)).toContain('backing-format');
        await expectSound(device);
      }
    }
  });

  test('without room the edit is refused', async () => {
    const device = await fresh({ clusterBytes: 512 });
    await setBacking(device, { name: 'n'.repeat(360), format: 'raw' });
    await expect(editBitmaps(device, [{ kind: 'add', name: 'b' }])).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      details: { structure: 'header extensions' },
    });
    await expectSound(device);
  });
});

describe('bits', () => {
  /** A bitmap of 4,100 clusters of 512 bytes; each table entry stands for 4,096 bits. */
  async function withAllOnes(): Promise<Memory> {
    const device = await fresh({ clusterBytes: 512, diskSizeBytes: 512 * 4100 });
    await editBitmaps(device, [{ kind: 'add', name: 'ones', granularityBytes: 512 }]);
    const { bitmaps } = await openImage(device);
    const entries = new Uint8Array(16);
    entries.set([1], 7);
    entries.set([1], 15);
    await device.writeBatch([{ at: bitmaps[0]!.table.at, bytes: entries }]);
    await expectSound(device);
    return device;
  }

  test.each([
    [512, '0-4099'],
    [1024, '0-2049'],
    [65_536, '0-32'],
  ])('of entries that say "all ones", at %i bytes', async (granularityBytes, set) => {
    const device = await withAllOnes();
    await editBitmaps(device, [
      { kind: 'add', name: 'sum', granularityBytes },
      { kind: 'merge', name: 'sum', from: 'ones' },
      { kind: 'merge', name: 'ones', from: 'ones' },
      { kind: 'merge', name: 'ones', from: 'sum' },
    ]);
    await expectSound(device);
    expect(bitmapsOf(device).map((bitmap) => bitmap.set)).toEqual(['0-4099', set]);
  });

  test('of another image, whose clusters have another size', async () => {
    const from = await withAllOnes();
    const device = await fresh({ diskSizeBytes: 512 * 4100 });
    const source = await openImage(from);
    await editBitmaps(device, [
      { kind: 'add', name: 'b', granularityBytes: 512 },
      { kind: 'merge', name: 'b', from: 'ones', source },
    ]);
    await expectSound(device);
    expect(bitmapsOf(device)[0]!.set).toBe('0-4099');
  });

  test('that lie where no cluster is are refused', async () => {
    for (const byte of [0x02, 0x7f]) {
      const from = await withAllOnes();
      const { bitmaps } = await openImage(from);
      const at = bitmaps[0]!.table.at + (byte === 0x02 ? 7 : 3);
      await from.writeBatch([{ at, bytes: Uint8Array.of(byte) }]);
      const device = await fresh({ diskSizeBytes: 512 * 4100 });
      const source = await openImage(from);
      await expect(
        editBitmaps(device, [
          { kind: 'add', name: 'b' },
          { kind: 'merge', name: 'b', from: 'ones', source },
        ]),
      ).rejects.toMatchObject({ code: 'IMAGE_DAMAGED', details: { action: 1 } });
    }
  });
});

describe('what is refused leaves the image as it was', () => {
  const add = (name: string, granularityBytes?: number): BitmapAction => ({
    kind: 'add',
    name,
    granularityBytes,
  });
  const merge: BitmapAction = { kind: 'merge', name: 'daily', from: 'daily' };
  test.each<[string, string, BitmapAction]>([
    ['bitmaps', 'BITMAP_NOT_FOUND', { kind: 'clear', name: 'nobody' }],
    ['bitmaps', 'BITMAP_NOT_FOUND', { kind: 'merge', name: 'daily', from: 'nobody' }],
    ['bitmaps', 'NAME_IN_USE', add('daily')],
    ['bitmaps', 'NAME_INVALID', add('')],
    ['bitmaps', 'NAME_INVALID', add('a\0b')],
    ['bitmaps', 'NAME_INVALID', add('n'.repeat(1024))],
    ['bitmaps', 'BITMAP_GRANULARITY_INVALID', add('b', 256)],
    ['bitmaps', 'BITMAP_GRANULARITY_INVALID', add('b', 1000)],
    ['bitmaps', 'BITMAP_GRANULARITY_INVALID', add('b', 2 ** 32)],
    ['bitmaps', 'BITMAP_GRANULARITY_INVALID', add('b', Number.NaN)],
    ['bitmaps-in-use', 'BITMAP_INCONSISTENT', { kind: 'enable', name: 'daily' }],
    ['bitmaps-in-use', 'BITMAP_INCONSISTENT', merge],
    ['version-2', 'BITMAPS_REFUSED', add('b')],
    ['empty-disk', 'BITMAPS_REFUSED', add('b')],
    ['bitmaps-autoclear-off', 'BITMAP_NOT_FOUND', { kind: 'remove', name: 'daily' }],
  ])('%s: %s', async (name, code, action) => {
    const device = fixture(name);
    const first: BitmapAction = { kind: 'remove-all' };
    const actions = name === 'version-2' ? [first, action] : [action];
    await expect(editBitmaps(device, actions)).rejects.toMatchObject({
      code,
      details: { action: actions.length - 1 },
    });
    expect(Buffer.from(device.snapshotBytes()).equals(loadFixture(name))).toBe(true);
  });

  test('disks of different sizes', async () => {
    const source = await openImage(fixture('bitmaps'));
    const device = await fresh({ diskSizeBytes: 512 });
    await expect(
      editBitmaps(device, [add('b'), { kind: 'merge', name: 'b', from: 'daily', source }]),
    ).rejects.toMatchObject({ code: 'BITMAP_SIZES_DIFFER' });
  });

  test('a bitmap of more than 512 MiB', async () => {
    const device = await fresh({ diskSizeBytes: 2 ** 42 });
    await expect(editBitmaps(device, [add('b', 512)])).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      details: { structure: 'bitmap data' },
    });
  });

  test('more bitmaps than QEMU loads, or longer ones', () => {
    const bitmap = (nameBytes: number): NextBitmap => ({
      nameBytes: new Uint8Array(nameBytes),
      extraData: new Uint8Array(0),
      granularityBits: 16,
      inUse: false,
      auto: true,
      stored: undefined,
      content: undefined,
    });
    const many = (count: number, nameBytes: number) =>
      Array.from({ length: count }, () => bitmap(nameBytes));
    const details = expect.objectContaining({ structure: 'bitmap directory' }) as unknown;
    const code = { code: 'LIMIT_EXCEEDED', details };
    const refused = (count: number, nameBytes: number) => () => {
      refuseMany(many(count, nameBytes));
    };
    expect(refused(65_535, 1)).not.toThrow();
    expect(refused(65_536, 1)).toThrow(expect.objectContaining(code));
    expect(refused(65_535, 1023)).toThrow(expect.objectContaining(code));
  });
});

test('a bitmap that was not saved properly can be removed, and its clusters are free', async () => {
  const device = fixture('bitmaps-in-use');
  await editBitmaps(device, [{ kind: 'remove', name: 'daily' }]);
  await expectSound(device);
  expect(bitmapsOf(device)).toEqual([]);
});
