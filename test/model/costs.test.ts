/**
 * What an operation asks of the medium, in numbers that do not vary: reads, writes, their bytes,
 * and flushes. Speed is measured by `npm run bench`; this is what must not grow unnoticed.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import {
  checkImage,
  diffDisks,
  createImage,
  executePlan,
  memoryDevice,
  openGuestDisk,
  openImage,
  planApply,
  planCreate,
  planDelete,
  planRename,
  snapshotsEqualToActive,
  type EditPlan,
  type OpenImage,
} from '../../src/index.js';
import { loadFixture } from '../support/fixture.js';
import { checkPlain } from '../support/crash-judge.js';
import { layoutOf, offsetAt, putU64 } from '../support/image-builder-layout.js';
import { recordingDevice, type RecordingDevice } from '../support/recording-device.js';
import type { BlockDevice } from '../../src/io/device.js';

const KiB = 1024;
const CLUSTER = 4 * KiB;
const SNAPSHOTS = 20;
/** 64 MiB in clusters of 4 KiB: 32 L2 tables, and 9 refcount blocks. */
const DISK = 64 * KiB * KiB;

/** An image with every cluster mapped, as `preallocation=metadata` makes them. */
async function mappedImage(): Promise<Uint8Array> {
  const device = memoryDevice(new Uint8Array(0), 'mapped', { growable: true });
  await createImage(device, {
    diskSizeBytes: DISK,
    version: 3,
    clusterBytes: CLUSTER,
    refcountBits: 16,
    extendedL2: false,
    lazyRefcounts: false,
    compressionType: 'zlib',
    preallocation: 'metadata',
  });
  return device.snapshotBytes();
}

async function edited(
  bytes: Uint8Array,
  plans: readonly ((image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>)[],
): Promise<Uint8Array> {
  const device = memoryDevice(bytes);
  for (const plan of plans) await executePlan(await plan(await openImage(device)));
  return device.snapshotBytes();
}

const named = (name: string) => (image: OpenImage<BlockDevice>) =>
  planCreate(image, { name, date: { seconds: 1_700_000_000, nanoseconds: 0 } });

/** Calls of the medium by what they do, and how much. */
function costOf({ log }: RecordingDevice) {
  const of = (kind: 'read' | 'write') =>
    log.flatMap((entry) =>
      entry.kind !== kind ? [] : [entry.kind === 'read' ? entry.length : entry.bytes.length],
    );
  const kib = (lengths: readonly number[]): number =>
    lengths.reduce((sum, length) => sum + length, 0) / KiB;
  return {
    reads: of('read').length,
    readKiB: kib(of('read')),
    writes: of('write').length,
    writtenKiB: kib(of('write')),
    flushes: log.filter(({ kind }) => kind === 'flush').length,
    punches: log.filter(({ kind }) => kind === 'punch').length,
  };
}

let fresh: Uint8Array;
let snapped: Uint8Array;
let many: Uint8Array;

beforeAll(async () => {
  fresh = await mappedImage();
  snapped = await edited(fresh, [named('first')]);
  const names = Array.from({ length: SNAPSHOTS }, (_, i) => `s${i}`);
  many = await edited(fresh, names.map(named));
});

async function costOfEdit(
  bytes: Uint8Array,
  plan: (image: OpenImage<BlockDevice>) => Promise<EditPlan<BlockDevice>>,
): Promise<ReturnType<typeof costOf>> {
  const device = recordingDevice(bytes);
  await executePlan(await plan(await openImage(device)));
  expect(checkPlain(device.snapshotBytes())).toMatchObject({ corruptions: [] });
  return costOf(device);
}

async function costOfUse(
  bytes: Uint8Array,
  use: (device: RecordingDevice) => Promise<unknown>,
): Promise<ReturnType<typeof costOf>> {
  const device = recordingDevice(bytes);
  await use(device);
  return costOf(device);
}

describe('an edit asks the medium for', () => {
  test('create', async () => {
    expect(await costOfEdit(fresh, named('new'))).toMatchInlineSnapshot(`
      {
        "flushes": 3,
        "punches": 0,
        "readKiB": 361.25,
        "reads": 78,
        "writes": 47,
        "writtenKiB": 180.140625,
      }
    `);
  });

  test('apply', async () => {
    const plan = (image: OpenImage<BlockDevice>) => planApply(image, image.snapshots[0]!, {});
    expect(await costOfEdit(snapped, plan)).toMatchInlineSnapshot(`
      {
        "flushes": 3,
        "punches": 0,
        "readKiB": 238,
        "reads": 11,
        "writes": 2,
        "writtenKiB": 0.140625,
      }
    `);
  });

  test('delete of one', async () => {
    const plan = (image: OpenImage<BlockDevice>) => planDelete(image, [image.snapshots[0]!]);
    expect(await costOfEdit(snapped, plan)).toMatchInlineSnapshot(`
      {
        "flushes": 3,
        "punches": 0,
        "readKiB": 365.5,
        "reads": 10,
        "writes": 45,
        "writtenKiB": 172.140625,
      }
    `);
  });

  test('delete of ten of twenty, in one pass', async () => {
    const plan = (image: OpenImage<BlockDevice>) => planDelete(image, image.snapshots.slice(5, 15));
    expect(await costOfEdit(many, plan)).toMatchInlineSnapshot(`
      {
        "flushes": 3,
        "punches": 0,
        "readKiB": 242.25,
        "reads": 36,
        "writes": 13,
        "writtenKiB": 44.140625,
      }
    `);
  });

  test('delete that frees guest data, with holes for all that is free then', async () => {
    const plan = (image: OpenImage<BlockDevice>) =>
      planDelete(image, [image.snapshots[0]!, image.snapshots[3]!]);
    expect(await costOfEdit(loadFixture('five-snapshots'), plan)).toMatchInlineSnapshot(`
      {
        "flushes": 3,
        "punches": 7,
        "readKiB": 962.09375,
        "reads": 29,
        "writes": 5,
        "writtenKiB": 192.140625,
      }
    `);
  });

  test('rename', async () => {
    const plan = (image: OpenImage<BlockDevice>) =>
      planRename(image, image.snapshots[3]!, 'renamed');
    expect(await costOfEdit(many, plan)).toMatchInlineSnapshot(`
      {
        "flushes": 3,
        "punches": 0,
        "readKiB": 242.25,
        "reads": 36,
        "writes": 9,
        "writtenKiB": 28.140625,
      }
    `);
  });
});

describe('a use that only reads asks the medium for', () => {
  test('list', async () => {
    expect(await costOfUse(many, openImage)).toMatchInlineSnapshot(`
      {
        "flushes": 0,
        "punches": 0,
        "readKiB": 68,
        "reads": 2,
        "writes": 0,
        "writtenKiB": 0,
      }
    `);
  });

  test('list with the mark of the active disk', async () => {
    const use = async (device: RecordingDevice) => snapshotsEqualToActive(await openImage(device));
    expect(await costOfUse(many, use)).toMatchInlineSnapshot(`
      {
        "flushes": 0,
        "punches": 0,
        "readKiB": 73.25,
        "reads": 23,
        "writes": 0,
        "writtenKiB": 0,
      }
    `);
  });

  test('diff: both L1 tables, and the L2 tables that differ', async () => {
    // Of 32 L2 tables one is written anew, with one entry less.
    const bytes = snapped.slice();
    const { l1At } = layoutOf(bytes);
    const tableAt = offsetAt(bytes, l1At + 8 * 5);
    const other = new Uint8Array(Math.ceil(bytes.length / CLUSTER) * CLUSTER + CLUSTER);
    other.set(bytes);
    other.copyWithin(other.length - CLUSTER, tableAt, tableAt + CLUSTER);
    putU64(other, other.length - CLUSTER, 0n);
    putU64(other, l1At + 8 * 5, BigInt(other.length - CLUSTER));
    const use = async (device: RecordingDevice) => {
      const image = await openImage(device);
      const found = [];
      for await (const ranges of diffDisks(image, image.snapshots[0], undefined)) {
        found.push(...ranges);
      }
      const start = 5 * (CLUSTER / 8) * CLUSTER;
      expect(found).toEqual([{ start, length: CLUSTER, kind: 'unmapped' }]);
    };
    expect(await costOfUse(other, use)).toMatchInlineSnapshot(`
      {
        "flushes": 0,
        "punches": 0,
        "readKiB": 76.5,
        "reads": 6,
        "writes": 0,
        "writtenKiB": 0,
      }
    `);
  });

  test('check', async () => {
    expect(await costOfUse(many, checkImage)).toMatchInlineSnapshot(`
      {
        "flushes": 0,
        "punches": 0,
        "readKiB": 243.84375,
        "reads": 35,
        "writes": 0,
        "writtenKiB": 0,
      }
    `);
  });

  test('map', async () => {
    const use = async (device: RecordingDevice) => {
      const disk = await openGuestDisk(await openImage(device));
      for await (const extent of disk.extents(0, DISK)) expect(extent.length).toBeGreaterThan(0);
    };
    expect(await costOfUse(snapped, use)).toMatchInlineSnapshot(`
      {
        "flushes": 0,
        "punches": 0,
        "readKiB": 196.25,
        "reads": 35,
        "writes": 0,
        "writtenKiB": 0,
      }
    `);
  });
});
