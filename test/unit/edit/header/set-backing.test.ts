import { describe, expect, test } from 'vitest';
import { withHeaderArea } from '../../../../src/edit/header/header-area.js';
import { planBacking, planFeatureNames } from '../../../../src/edit/header/plan-backing.js';
import { setBacking } from '../../../../src/edit/header/set-backing.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { checkImage, memoryDevice, openImage, type Image } from '../../../../src/index.js';
import { NEW_BACKINGS } from '../../../support/backing-cases.js';
import { loadFixture } from '../../../support/fixture.js';

function expectSame(one: Uint8Array, other: Uint8Array): void {
  expect(Buffer.compare(one, other)).toBe(0);
}

const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && new TextDecoder().decode(bytes);

function formatOf({ extensions }: Image): string | undefined {
  return text(extensions.find(({ kind }) => kind === 'backing-format')?.bytes);
}

const kindsOf = ({ extensions }: Image): string[] => extensions.map(({ kind }) => kind).sort();

describe.each(['five-snapshots', 'backing-chain', 'version-2', 'bitmaps', 'luks'])('%s', (name) => {
  test.each(Object.entries(NEW_BACKINGS))('%s', async (_, backing) => {
    const device = memoryDevice(loadFixture(name).slice());
    const before = await openImage(device);
    await setBacking(device, backing);
    const after = await openImage(device);
    const { backingNameBytes } = after;
    const named = typeof backing?.name === 'string' ? backing.name : text(backing?.name);
    expect(text(backingNameBytes)).toBe(named);
    expect(formatOf(after)).toBe(backing?.format);
    const others = kindsOf(before).filter((kind) => kind !== 'backing-format');
    expect(kindsOf(after)).toEqual([...others, ...(backing ? ['backing-format'] : [])].sort());
    expect((await checkImage(device)).totals).toEqual(
      (await checkImage(memoryDevice(loadFixture(name)))).totals,
    );
    const { clusterBytes } = after.geometry;
    const [now, was] = [device.snapshotBytes(), loadFixture(name)];
    expectSame(now.subarray(clusterBytes), was.subarray(clusterBytes));
  });
});

test('what an earlier name left in the header is cleared, and the same again changes nothing', async () => {
  const device = memoryDevice(loadFixture('five-snapshots').slice());
  await setBacking(device, { name: 'secret'.repeat(20), format: 'qcow2' });
  await setBacking(device, undefined);
  expect(text(device.snapshotBytes().subarray(0, 65_536))).not.toContain('secret');
  const before = device.snapshotBytes();
  await setBacking(device, undefined);
  expectSame(device.snapshotBytes(), before);
});

test('a cut before the feature names are back is an image without them, and the next change goes on', async () => {
  const device = memoryDevice(loadFixture('five-snapshots').slice());
  const plan = await planBacking(await openImage(device), { name: 'base', format: 'raw' });
  expect(plan).toMatchObject({ operation: 'set', summary: 'stand on the backing file "base"' });
  await executePlan(plan);
  expect(kindsOf(await openImage(device))).toEqual(['backing-format']);
  const completion = await planFeatureNames(await openImage(device), plan.leftOut);
  await executePlan(completion!);
  expect(kindsOf(await openImage(device))).toEqual(['backing-format', 'feature-names']);
  expect(await planFeatureNames(await openImage(device), undefined)).toBeUndefined();
});

test('a name without a format is recorded so', async () => {
  const device = memoryDevice(loadFixture('backing-chain').slice());
  await setBacking(device, { name: 'base' });
  const image = await openImage(device);
  expect([text(image.backingNameBytes), formatOf(image)]).toEqual(['base', undefined]);
});

test.each([
  ['no name', { name: '' }, 'NAME_INVALID'],
  ['a zero byte', { name: 'a\0b' }, 'NAME_INVALID'],
  ['1,024 bytes', { name: 'n'.repeat(1024) }, 'NAME_INVALID'],
])('%s is refused, and the image stays as it is', async (_, backing, code) => {
  const bytes = loadFixture('five-snapshots');
  const device = memoryDevice(bytes.slice());
  await expect(setBacking(device, backing)).rejects.toMatchObject({ code });
  expectSame(device.snapshotBytes(), bytes);
});

test('a format that has no place in the first sector is refused, and the image stays as it is', async () => {
  const bytes = loadFixture('five-snapshots').slice();
  const { header } = await openImage(memoryDevice(bytes));
  const extensions = [{ type: 0x12345678, bytes: new Uint8Array(376) }];
  const area = { extensions, name: undefined };
  bytes.set(withHeaderArea(bytes.slice(0, 1024), header.headerBytes, area, header.autoclear));
  const device = memoryDevice(bytes.slice());
  const backing = { name: 'base', format: 'qcow2' };
  await expect(setBacking(device, backing)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  expectSame(device.snapshotBytes(), bytes);
});

test('a name has no room in a cluster of 512 bytes', async () => {
  const device = memoryDevice(loadFixture('cluster-512').slice());
  const backing = { name: 'n'.repeat(400), format: 'qcow2' };
  await expect(setBacking(device, backing)).rejects.toMatchObject({
    code: 'LIMIT_EXCEEDED',
    details: { structure: 'header extensions' },
  });
});

test.each(['', 'a-very-long-name', 'ra\0w'])('%j is no format', async (format) => {
  const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
  await expect(planBacking(image, { name: 'base', format })).rejects.toMatchObject({
    code: 'NAME_INVALID',
  });
});

test('an image with an external data file may stand on another file, but not if that is a raw disk', async () => {
  const device = memoryDevice(loadFixture('data-file').slice());
  const before = (await checkImage(device)).totals;
  await setBacking(device, { name: 'base', format: 'qcow2' });
  expect(text((await openImage(device)).backingNameBytes)).toBe('base');
  expect((await checkImage(device)).totals).toEqual(before);
  const raw = await openImage(memoryDevice(loadFixture('data-file-raw')));
  await expect(planBacking(raw, { name: 'base' })).rejects.toMatchObject({
    code: 'EXTERNAL_DATA_FILE',
    message: expect.stringContaining('can stand on no backing file') as string,
  });
  expect((await planBacking(raw, undefined)).summary).toBe('drop the backing file');
});
