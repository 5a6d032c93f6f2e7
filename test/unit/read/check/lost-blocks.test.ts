/** Refcount blocks that are lost where clusters may have owners that nobody knows. */
import { expect, test } from 'vitest';
import { openImage, planCreate } from '../../../../src/index.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { parseRepairWords } from '../../../../src/edit/repair/choice.js';
import { proposeRepair } from '../../../../src/edit/repair/propose.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { checkPlain, contentsOf } from '../../../support/crash-judge.js';
import { loadFixture } from '../../../support/fixture.js';
import { buildImage, guestWrite, guestWriteCompressed } from '../../../support/image-builder.js';
import {
  blockAt,
  layoutOf,
  OFFSET_MASK,
  putRefcountAt,
  putU32,
  putU64,
  refcountOf,
  snapshotsOf,
  u64,
} from '../../../support/image-builder-layout.js';

/** The image without one of its refcount blocks: it is zeros, or the table has no entry for it. */
function without(fixture: string, block: number, lost: 'the entry' | 'the block'): Uint8Array {
  const bytes = loadFixture(fixture);
  const { refcountTableAt, clusterBytes } = layoutOf(bytes);
  const entryAt = refcountTableAt + block * 8;
  const at = Number(u64(bytes, entryAt) & OFFSET_MASK);
  if (lost === 'the entry') putU64(bytes, entryAt, 0n);
  else bytes.fill(0, at, at + clusterBytes);
  return bytes;
}

// The one has L2 tables without entries, which may have been emptied; the other an extension that nobody knows.
const LOSSES = [
  ['vm-state-v2', 1, 'the entry'],
  ['vm-state-v2', 2, 'the entry'],
  ['vm-state-v2', 2, 'the block'],
  ['extension-unknown', 0, 'the block'],
] as const;

test.each(LOSSES)('%s, block %i: %s is lost, and any repair counts anew', async (...loss) => {
  const bytes = without(...loss);
  const contents = contentsOf(bytes);
  expect(checkPlain(bytes).corruptions).not.toEqual([]);
  for (const words of [['all'], ['leaks']]) {
    const device = memoryDevice(bytes.slice());
    const { plan, after } = await proposeRepair(device, () => parseRepairWords(words));
    await executePlan(plan!);
    expect(after.totals).toMatchObject({ corruptions: 0, checkErrors: 0 });
    expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
    expect(contentsOf(device.snapshotBytes())).toEqual(contents);
  }
});

/** The image without its active L1, and with refcounts that nobody can read as what they were. */
function alsoWithoutDisk(lose: (bytes: Uint8Array, block: number) => unknown): {
  readonly before: Uint8Array;
  readonly bytes: Uint8Array;
} {
  const before = loadFixture('five-snapshots');
  const bytes = before.slice();
  const layout = layoutOf(bytes);
  bytes.fill(0, layout.l1At, layout.l1At + layout.l1Entries * 8);
  lose(bytes, blockAt(bytes, layout, 0));
  return { before, bytes };
}

test.each<readonly [string, (bytes: Uint8Array, block: number) => unknown]>([
  [
    'read as wider than they are',
    (bytes) => {
      putU32(bytes, 96, 5);
    },
  ],
  [
    'read as narrower than they are',
    (bytes) => {
      putU32(bytes, 96, 3);
    },
  ],
  ['without one sector', (bytes, block) => bytes.fill(0, block, block + 512)],
  ['zeros', (bytes, block) => bytes.fill(0, block, block + 4096)],
  ['text', (bytes, block) => bytes.fill(0x20, block, block + 4096)],
])('refcounts %s, and a lost disk: a repair leaves nothing free that was used', async (_, lose) => {
  const { before, bytes } = alsoWithoutDisk(lose);
  const device = memoryDevice(bytes);
  const { plan } = await proposeRepair(device, () => parseRepairWords([]));
  await executePlan(plan!);
  const after = device.snapshotBytes();
  const [was, is] = [layoutOf(before), layoutOf(after)];
  const freed = Array.from({ length: before.length / was.clusterBytes }, (_, cluster) => cluster)
    .filter((cluster) => refcountOf(before, was, cluster) > 0n)
    .filter((cluster) => !isRefcounts(before, cluster * was.clusterBytes))
    .filter((cluster) => refcountOf(after, is, cluster) === 0n);
  expect(freed).toEqual([]);
  expect(checkPlain(after).corruptions).toEqual([]);
});

test('refcounts that are sound, and a lost disk: nothing that was free is taken', async () => {
  const { before, bytes } = alsoWithoutDisk(() => undefined);
  const device = memoryDevice(bytes);
  const { plan } = await proposeRepair(device, () => parseRepairWords([]));
  if (plan !== undefined) await executePlan(plan);
  const after = device.snapshotBytes();
  const [was, is] = [layoutOf(before), layoutOf(after)];
  for (let cluster = 0; cluster < before.length / was.clusterBytes; cluster++) {
    const [stored, left] = [refcountOf(before, was, cluster), refcountOf(after, is, cluster)];
    expect(left === 0n, `cluster ${cluster}`).toBe(stored === 0n);
  }
});

test.each(['five-snapshots', 'vm-state'])(
  '%s: a pointer behind the end makes no refcounts lost',
  async (fixture) => {
    const sound = loadFixture(fixture);
    const bytes = sound.slice();
    const [snapshot] = snapshotsOf(bytes).snapshots;
    putU64(bytes, snapshot!.at, u64(bytes, snapshot!.at) + (1n << 24n));
    const device = memoryDevice(bytes);
    const { plan } = await proposeRepair(device, () => parseRepairWords([]));
    if (plan !== undefined) await executePlan(plan);
    const after = device.snapshotBytes();
    const [was, is] = [layoutOf(sound), layoutOf(after)];
    for (let cluster = 0; cluster < sound.length / was.clusterBytes; cluster++) {
      if (isRefcounts(sound, cluster * was.clusterBytes)) continue;
      const [stored, left] = [refcountOf(sound, was, cluster), refcountOf(after, is, cluster)];
      expect(left, `cluster ${cluster}`).toBe(stored);
    }
  },
);

test('of a block that seems lost no refcount that can be right is lowered while owners are unknown', async () => {
  const options = { version: 3, clusterBits: 10, refcountOrder: 4, extendedL2: false } as const;
  const disk = { bytes: buildImage({ ...options, diskSizeBytes: 2 ** 17 }) };
  for (let cell = 100; cell < 108; cell++) guestWrite(disk, cell, 1);
  const taken = memoryDevice(disk.bytes);
  const date = { seconds: 1_700_000_000, nanoseconds: 0 };
  await executePlan(await planCreate(await openImage(taken), { name: 's', date }));
  disk.bytes = taken.snapshotBytes();
  // Ten clusters of the active disk alone in one host cluster.
  guestWriteCompressed(
    disk,
    0,
    Uint8Array.from({ length: 10 }, (_, i) => i + 1),
  );
  const layout = layoutOf(disk.bytes);
  const last = disk.bytes.length / layout.clusterBytes;
  const clusters = Array.from({ length: last }, (_, i) => i);
  const packed = clusters.find((cluster) => refcountOf(disk.bytes, layout, cluster) === 10n)!;
  disk.bytes.fill(0, layout.l1At, layout.l1At + layout.l1Entries * 8);
  const shared = clusters.filter((cluster) => refcountOf(disk.bytes, layout, cluster) === 2n);
  for (const cluster of shared.slice(0, 4)) {
    putRefcountAt(disk.bytes, blockAt(disk.bytes, layout, cluster), 16, cluster, 0n);
  }
  const device = memoryDevice(disk.bytes);
  const { plan } = await proposeRepair(device, () => parseRepairWords([]));
  await executePlan(plan!);
  const after = device.snapshotBytes();
  expect(refcountOf(after, layoutOf(after), packed)).toBeGreaterThanOrEqual(10n);
  expect(checkPlain(after).corruptions).toEqual([]);
});

/** Whether the refcount table or a block lay there: a repair may make them anew elsewhere. */
function isRefcounts(bytes: Uint8Array, at: number): boolean {
  const layout = layoutOf(bytes);
  return at === layout.refcountTableAt || at === blockAt(bytes, layout, at / layout.clusterBytes);
}
