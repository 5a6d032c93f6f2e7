import { describe, expect, test } from 'vitest';
import { openForCheck } from '../../../src/image/open-for-check.js';
import { newCounts } from '../../../src/refcount/counts.js';
import { unlistedSnapshots } from '../../../src/image/unlisted.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { loadFixture } from '../../support/fixture.js';
import {
  blockAt,
  layoutOf,
  putU32,
  putU64,
  snapshotsOf,
} from '../../support/image-builder-layout.js';

const sound = loadFixture('five-snapshots');
const { snapshots } = snapshotsOf(sound);
const last = snapshots.at(-1)!;

async function behind(bytes: Uint8Array): Promise<readonly string[]> {
  const { behindTable } = await openForCheck(memoryDevice(bytes));
  return behindTable.map(({ index, id, name }) => `${index} ${id} ${name}`);
}

function withCount(count: number): Uint8Array {
  const bytes = sound.slice();
  putU32(bytes, 60, count);
  return bytes;
}

describe('what lies behind the snapshot table', () => {
  test('nothing, where all is listed', async () => {
    expect(await behind(sound)).toEqual([]);
  });

  test('entries that the header does not count, with the positions they would have', async () => {
    expect(await behind(withCount(3))).toEqual([
      '3 4 after database migration',
      '4 5 release candidate',
    ]);
  });

  test('no entry whose L1 table can not be there', async () => {
    for (const l1At of [0n, 0x200n, 1n << 40n, 1n << 63n]) {
      const bytes = withCount(4);
      putU64(bytes, last.at, l1At);
      expect(await behind(bytes), String(l1At)).toEqual([]);
    }
    const bytes = withCount(4);
    putU32(bytes, last.at + 8, 0);
    expect(await behind(bytes)).toEqual([]);
  });

  test('nothing where no table is, or none that can be read', async () => {
    const nowhere = withCount(0);
    putU64(nowhere, 64, 0n);
    expect(await behind(nowhere)).toEqual([]);
    const tooMany = withCount(0xffff_ffff);
    expect(await behind(tooMany)).toEqual([]);
  });
});

describe('an entry behind the table is a snapshot', () => {
  async function unlisted(bytes: Uint8Array, referenced: boolean): Promise<number> {
    const { image, behindTable } = await openForCheck(memoryDevice(bytes));
    const layout = layoutOf(bytes);
    const cluster = last.l1At / layout.clusterBytes;
    const references = newCounts(cluster + 100, image.geometry);
    if (referenced) references.set(cluster, 1);
    const blocks = Float64Array.from([blockAt(bytes, layout, 0)]);
    return (await unlistedSnapshots(image, behindTable, references, blocks)).length;
  }

  test('where its L1 table is in use and belongs to nobody', async () => {
    expect(await unlisted(withCount(4), false)).toBe(1);
  });

  test('not where somebody else has its place, or it is free', async () => {
    expect(await unlisted(withCount(4), true)).toBe(0);
    const freed = withCount(4);
    const layout = layoutOf(freed);
    const at = blockAt(freed, layout, 0) + (last.l1At / layout.clusterBytes) * 2;
    freed.fill(0, at, at + 2);
    expect(await unlisted(freed, false)).toBe(0);
  });
});
