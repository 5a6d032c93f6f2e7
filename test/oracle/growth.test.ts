/** Tables that outgrow their clusters, files of awkward length, and media without room. */
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  executePlan,
  findSnapshot,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  type EditPlan,
  type OpenImage,
} from '../../src/index.js';
import { loadFixture } from '../support/fixture.js';
import {
  buildImage,
  checkImage,
  guestWrite,
  guestWriteCompressed,
  guestZero,
  layoutOf,
  readGuest,
  type PlainDisk,
} from '../support/image-builder.js';
import { memoryDirectory } from '../support/directories.js';
import { makeImage } from '../support/made-images.js';
import {
  contentHash,
  describeWithQemu,
  expectClean,
  expectCleanBytes,
  qemuIo,
  snapshotList,
} from '../support/qemu.js';
import type { BlockDevice } from '../../src/io/device.js';

const date = { seconds: 1_700_000_000, nanoseconds: 0 };
const sound = { corruptions: [], leaks: [] };

type Planner = (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>;

/** The image after an edit in memory. */
async function editedUnchecked(bytes: Uint8Array, plan: Planner): Promise<Uint8Array> {
  const device = memoryDevice(bytes);
  await executePlan(await plan(await openImage(device)));
  return device.snapshotBytes();
}

/** The image after an edit in memory; what the plain checker finds must not have changed. */
async function edited(bytes: Uint8Array, plan: Planner): Promise<Uint8Array> {
  const after = await editedUnchecked(bytes, plan);
  expect(checkImage(after)).toEqual(checkImage(bytes));
  return after;
}

const create =
  (name: string): Planner =>
  (image) =>
    planCreate(image, { name, date });
const apply =
  (selector: string): Planner =>
  (image) =>
    planApply(image, findSnapshot(image.snapshots, selector), { discardChanges: true });
const remove =
  (...selectors: readonly string[]): Planner =>
  (image) =>
    planDelete(
      image,
      selectors.map((selector) => findSnapshot(image.snapshots, selector)),
    );

async function qemuImage(size: string, options: string, commands: string[]): Promise<string> {
  const file = path.join(memoryDirectory(), 'made.qcow2');
  await makeImage(file, size, options, commands);
  return file;
}

describeWithQemu('refcount structures grow in an edit', () => {
  test('at every fill of the last refcount block and of the refcount table', async () => {
    // A block counts 64 clusters, a cluster of the table 4,096: 2 MiB of file.
    const file = await qemuImage('4M', 'cluster_size=512,refcount_bits=64', ['write -P 1 0 1840k']);
    const tableClusters: number[] = [];
    let blocksAdded = 0;
    for (let at = 1840 * 1024; at < 2 ** 22; at += 4608) {
      const before = new Uint8Array(readFileSync(file));
      const after = await edited(before, create('grown'));
      tableClusters.push(layoutOf(after).refcountTableClusters);
      if (after.length > before.length) blocksAdded += 1;
      if (tableClusters.at(-1) !== tableClusters.at(-2) || at % 36_864 === 0) {
        await expectCleanBytes(after);
        const applied = await edited(await edited(after, create('again')), apply('name:grown'));
        await expectCleanBytes(await edited(applied, remove('name:grown', 'name:again')));
      }
      if (layoutOf(before).refcountTableClusters > 1) break;
      await qemuIo(file, [`write -P 2 ${at} 4608`]);
    }
    expect(tableClusters[0]).toBe(1);
    expect(tableClusters.at(-1)).toBeGreaterThan(1);
    expect(blocksAdded).toBeGreaterThan(8);
    await expectClean(file);
  });

  test('by many clusters at once', async () => {
    const options = 'cluster_size=512,refcount_bits=64';
    const file = await qemuImage('24M', options, ['write -P 1 0 8M']);
    const before = new Uint8Array(readFileSync(file));
    // Every L2 table that a create copies is new: 256 of them here.
    const after = await edited(before, create('one'));
    expect(layoutOf(after).refcountTableClusters).toBeGreaterThan(4);
    const image = await expectCleanBytes(after);
    await qemuIo(image, ['write -P 3 4M 4M']);
    await expectClean(image);
    const applied = await edited(new Uint8Array(readFileSync(image)), apply('name:one'));
    await expectCleanBytes(await edited(applied, remove('name:one')));
  });
});

describeWithQemu('tables longer than a cluster', () => {
  test('a snapshot table of 26 clusters', async () => {
    const file = await qemuImage('100k', 'cluster_size=512', ['write -P 1 0 64k']);
    let bytes: Uint8Array = new Uint8Array(readFileSync(file));
    const names = Array.from({ length: 50 }, (_, i) => `${i} `.padEnd(200, 'n'));
    for (const name of names) bytes = await edited(bytes, create(name));
    const full = await expectCleanBytes(bytes);
    expect((await snapshotList(full)).map(({ name }) => name)).toEqual(names);
    bytes = await edited(bytes, remove(...names.slice(1, 49).map((name) => `name:${name}`)));
    const short = await expectCleanBytes(bytes);
    expect((await snapshotList(short)).map(({ id }) => id)).toEqual(['1', '50']);
  });

  test('an L1 table of 32 clusters', async () => {
    const commands = ['write -P 1 0 64k', 'write -P 2 33M 64k', 'write -P 3 63M 512'];
    const file = await qemuImage('64M', 'cluster_size=512', commands);
    let bytes = await edited(new Uint8Array(readFileSync(file)), create('wide'));
    expect(layoutOf(bytes).l1Entries).toBe(2048);
    const image = await expectCleanBytes(bytes);
    await qemuIo(image, ['write -P 4 20M 1M', 'write -P 5 63M 64k']);
    bytes = await edited(new Uint8Array(readFileSync(image)), apply('name:wide'));
    const applied = await expectCleanBytes(bytes);
    await qemuIo(applied, ['read -P 1 0 64k', 'read -P 0 20M 1M', 'read -P 3 63M 512']);
    await expectCleanBytes(await edited(bytes, remove('name:wide')));
  });
});

describeWithQemu('files of awkward length', () => {
  test.each([
    ['a new image, which ends behind its L1 table', []],
    ['compressed data at the end', ['write -c -P 1 0 64k', 'write -c -P 2 64k 64k']],
  ])('%s', async (_, commands) => {
    const file = await qemuImage('1M', 'cluster_size=64k', commands);
    let bytes: Uint8Array = new Uint8Array(readFileSync(file));
    expect(statSync(file).size % 65_536).not.toBe(0);
    bytes = await edited(bytes, create('odd'));
    await expectCleanBytes(bytes);
    bytes = await edited(bytes, apply('name:odd'));
    await expectCleanBytes(await edited(bytes, remove('name:odd')));
  });
});

describe('refcounts that stand where nothing does', () => {
  test('leaked clusters stay leaked, in the file and past its end', async () => {
    const before = loadFixture('refcount-leaks');
    const { corruptions, leaks } = checkImage(before);
    expect(corruptions).toEqual([]);
    expect(leaks.some((line) => line.endsWith('past the end'))).toBe(true);
    // Past the end is a matter of where the file ends: an edit may make it longer.
    const known = leaks.map((line) => line.replace(', past the end', ''));
    let bytes = before;
    const plans = [create('one'), create('two'), apply('name:one'), remove('name:one', 'name:two')];
    for (const plan of plans) {
      bytes = await editedUnchecked(bytes, plan);
      const found = checkImage(bytes);
      expect(found.corruptions).toEqual([]);
      expect(found.leaks.map((line) => line.replace(', past the end', ''))).toEqual(known);
    }
  });

  test('preallocated clusters past the end of the file are in use', async () => {
    let bytes = loadFixture('preallocated-metadata');
    for (const plan of [create('one'), create('two'), apply('name:one'), remove('name:two')]) {
      bytes = await edited(bytes, plan);
      expect(checkImage(bytes)).toEqual(sound);
    }
  });
});

/** An image of 512-byte clusters with some data in it, without QEMU. */
function smallImage(): Uint8Array {
  const options = { version: 3, clusterBits: 9, refcountOrder: 4, extendedL2: false } as const;
  const disk: PlainDisk = { bytes: buildImage({ ...options, diskSizeBytes: 64 * 1024 }) };
  for (let cell = 0; cell < 100; cell += 3) guestWrite(disk, cell, cell + 1);
  return disk.bytes;
}

describeWithQemu('images of the plain builder', () => {
  test.each([
    ['clusters of 512 bytes', { clusterBits: 9, extendedL2: false }],
    ['extended L2', { clusterBits: 14, extendedL2: true }],
  ])('%s: QEMU finds them sound and reads the same', async (_, options) => {
    const disk: PlainDisk = {
      bytes: buildImage({ version: 3, refcountOrder: 4, diskSizeBytes: 2 ** 20, ...options }),
    };
    for (let cell = 0; cell < 2000; cell += 7) guestWrite(disk, cell, (cell % 255) + 1);
    guestWriteCompressed(disk, 5, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    for (let cell = 3; cell < 2000; cell += 50) guestZero(disk, cell, cell % 4 === 1);
    const after = await edited(disk.bytes, create('made'));
    expect(checkImage(after)).toEqual(sound);
    const file = await expectCleanBytes(after);
    const hash = createHash('sha256')
      .update(readGuest(after, layoutOf(after)))
      .digest('hex');
    expect(await contentHash(file)).toBe(hash);
    expect(await contentHash(file, 'made')).toBe(hash);
  });
});

describe('a medium without room', () => {
  test('of fixed length: the plan is refused and says what is missing', async () => {
    const bytes = smallImage();
    const device = memoryDevice(bytes, 'partition', { growable: false });
    await expect(create('no room')(await openImage(device))).rejects.toMatchObject({
      code: 'NO_SPACE',
      details: { imageState: 'unchanged' },
    });
    expect(Buffer.compare(device.snapshotBytes(), bytes)).toBe(0);
  });

  test('of fixed length with free clusters: the edit stays inside', async () => {
    const bytes = await edited(smallImage(), create('one'));
    const roomy = new Uint8Array(bytes.length + 16 * 1024);
    roomy.set(bytes);
    const device = memoryDevice(roomy, 'partition', { growable: false });
    const plans = [create('two'), remove('name:one'), create('three'), apply('name:two')];
    for (const plan of plans) await executePlan(await plan(await openImage(device)));
    expect(device.snapshotBytes()).toHaveLength(roomy.length);
    expect(checkImage(device.snapshotBytes())).toEqual(sound);
  });

  test('that fills up at any byte of the edit: the old image stays', async () => {
    const bytes = smallImage();
    const needed = (await edited(bytes, create('one'))).length;
    expect(needed).toBeGreaterThan(bytes.length);
    for (let capacityBytes = bytes.length; capacityBytes < needed; capacityBytes += 256) {
      const device = memoryDevice(bytes, 'full disk', { capacityBytes });
      const plan = await create('one')(await openImage(device));
      await expect(executePlan(plan)).rejects.toMatchObject({
        code: 'NO_SPACE',
        details: { imageState: 'old' },
      });
      const after = device.snapshotBytes();
      expect(after).toHaveLength(bytes.length);
      expect(checkImage(after)).toEqual(sound);
      expect(layoutOf(after).snapshotCount).toBe(0);
    }
  });
});

describe('two hundred times create and delete', () => {
  test.each([
    ['clusters of 512 bytes', smallImage()],
    ['a fixture with snapshots', loadFixture('five-snapshots')],
  ])('%s: the file stays bounded', async (_, image) => {
    const lengths: number[] = [];
    let bytes = image;
    for (let i = 0; i < 200; i++) {
      bytes = await editedUnchecked(bytes, create(`round ${i}`));
      if (i % 20 === 0) expect(checkImage(bytes)).toEqual(sound);
      bytes = await editedUnchecked(bytes, remove(`name:round ${i}`));
      lengths.push(bytes.length);
    }
    expect(checkImage(bytes)).toEqual(sound);
    // After the first rounds every copy finds room in what the round before gave back.
    expect(new Set(lengths.slice(4)).size).toBe(1);
    expect(lengths.at(-1)).toBeLessThan(2 * image.length);
  });
});
