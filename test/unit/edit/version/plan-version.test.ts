/** An image becomes one of another version: what stays, what goes, and what is refused. */
import { describe, expect, test } from 'vitest';
import { planLazyRefcounts } from '../../../../src/edit/header/plan-lazy-refcounts.js';
import { completeHeader, setBacking } from '../../../../src/edit/header/set-backing.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { planVersion } from '../../../../src/edit/version/plan-version.js';
import { checkImage, memoryDevice, openImage } from '../../../../src/index.js';
import { loadFixture } from '../../../support/fixture.js';

async function made(fixture: string, version: 2 | 3) {
  const device = memoryDevice(loadFixture(fixture).slice());
  const plan = await planVersion(await openImage(device), version);
  if (plan !== undefined) {
    await executePlan(plan);
    await completeHeader(device, plan);
  }
  return { device, plan, image: await openImage(device) };
}

test.each(['five-snapshots', 'zeros', 'cluster-512', 'compressed-zlib', 'lazy-refcounts'])(
  '%s becomes version 2 and version 3 again, and is sound',
  async (fixture) => {
    const before = await openImage(memoryDevice(loadFixture(fixture)));
    const { device, image } = await made(fixture, 2);
    expect(image.header).toMatchObject({ version: 2, compatible: 0n, lazyRefcounts: false });
    expect(image.extensions.map(({ kind }) => kind)).not.toContain('feature-names');
    expect((await checkImage(device)).totals).toMatchObject({ corruptions: 0, leaks: 0 });
    const again = await planVersion(image, 3);
    await executePlan(again!);
    await completeHeader(device, again!);
    const after = await openImage(device);
    expect(after.header.version).toBe(3);
    expect(after.snapshots.map(({ name, diskSizeBytes }) => [name, diskSizeBytes])).toEqual(
      before.snapshots.map(({ name, diskSizeBytes }) => [name, diskSizeBytes]),
    );
    expect((await checkImage(device)).totals).toMatchObject({ corruptions: 0, leaks: 0 });
  },
);

test('an image of that version has nothing to be done', async () => {
  expect((await made('version-2', 2)).plan).toBeUndefined();
  expect((await made('five-snapshots', 3)).plan).toBeUndefined();
});

test('snapshot entries get the extra data that version 3 asks for', async () => {
  const { image, device } = await made('version-2', 3);
  expect(image.snapshots.every(({ extraData }) => extraData.length >= 16)).toBe(true);
  expect(image.extensions.map(({ kind }) => kind)).toEqual(['feature-names']);
  expect((await checkImage(device)).findings).toEqual([]);
});

test('a long name of the backing file goes behind the header that grows', async () => {
  const device = memoryDevice(loadFixture('version-2').slice());
  const name = 'n'.repeat(440);
  await setBacking(device, { name, format: 'qcow2' });
  const plan = await planVersion(await openImage(device), 3);
  await executePlan(plan!);
  await completeHeader(device, plan!);
  const image = await openImage(device);
  expect(new TextDecoder().decode(image.backingNameBytes)).toBe(name);
  expect(image.extensions.map(({ kind }) => kind).sort()).toEqual([
    'backing-format',
    'feature-names',
  ]);
  expect((await checkImage(device)).totals).toMatchObject({ corruptions: 0, leaks: 0 });
});

describe('version 2 is refused', () => {
  test.each([
    ['refcount-8', 'DOWNGRADE_REFUSED', 'refcount block'],
    ['resized-larger', 'DOWNGRADE_REFUSED', 'snapshot table'],
    ['vm-state-5gib', 'DOWNGRADE_REFUSED', 'snapshot table'],
    ['extended-l2', 'DOWNGRADE_REFUSED', 'header'],
    ['compressed-zstd', 'DOWNGRADE_REFUSED', 'L2 table'],
    ['bitmaps', 'BITMAPS_PRESENT', 'bitmaps extension'],
    ['data-file', 'EXTERNAL_DATA_FILE', 'header'],
    ['dirty', 'IMAGE_DIRTY', 'header'],
  ])('for %s: %s', async (fixture, code, structure) => {
    const bytes = loadFixture(fixture);
    const image = await openImage(memoryDevice(bytes));
    await expect(planVersion(image, 2)).rejects.toMatchObject({ code, details: { structure } });
  });

  test('for zeros of an encrypted image over a backing file', async () => {
    const device = memoryDevice(loadFixture('zeros').slice());
    await setBacking(device, { name: 'below', format: 'raw' });
    const image = await openImage(device);
    const encrypted = { ...image, header: { ...image.header, encryption: 'aes' as const } };
    await expect(planVersion(encrypted, 2)).rejects.toMatchObject({ code: 'ENCRYPTED' });
  });
});

test('lazy refcounts are one bit, which version 2 has not', async () => {
  const device = memoryDevice(loadFixture('five-snapshots').slice());
  const plan = await planLazyRefcounts(await openImage(device), true);
  await executePlan(plan!);
  const image = await openImage(device);
  expect(image.header.lazyRefcounts).toBe(true);
  expect(await planLazyRefcounts(image, true)).toBeUndefined();
  const off = await planLazyRefcounts(image, false);
  await executePlan(off!);
  expect(Buffer.compare(device.snapshotBytes(), loadFixture('five-snapshots'))).toBe(0);
  const old = await openImage(memoryDevice(loadFixture('version-2')));
  await expect(planLazyRefcounts(old, true)).rejects.toMatchObject({ code: 'UNSUPPORTED_FEATURE' });
});
