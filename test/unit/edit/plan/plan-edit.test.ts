import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  executePlan,
  isQsnapError,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  planRename,
  type EditPlan,
  type ErrorCode,
  type Image,
  type OpenImage,
} from '../../../../src/index.js';
import { shadowWriteRanges } from '../../../../src/internal.js';
import {
  copyCompanions,
  expectedJson,
  fixtureNames,
  loadFixture,
  recipe,
} from '../../../support/fixture.js';
import { temporaryDirectory } from '../../../support/directories.js';
import { describeWithQemu, expectClean } from '../../../support/qemu.js';
import { readPlainly, type PlainImage } from './independent-reader.js';
import { madeOn } from '../../../support/plans.js';
import { oneIn } from '../../../support/left-out.js';

const DATE = { seconds: 1_800_000_000, nanoseconds: 5 };
const CANNOT_OPEN = new Set([
  'feature-incompatible-named',
  'feature-incompatible-unknown',
  'qcow-version-1',
]);
const FIXTURES = fixtureNames().filter((name) => !CANNOT_OPEN.has(name));

/** Edits that are refused whatever they are, by fixture. */
const REFUSED: Readonly<Record<string, ErrorCode>> = {
  corrupt: 'IMAGE_MARKED_CORRUPT',
  dirty: 'IMAGE_DIRTY',
  'data-file': 'EXTERNAL_DATA_FILE',
  'data-file-raw': 'EXTERNAL_DATA_FILE',
  'l2-past-end': 'IMAGE_DAMAGED',
  'l2-unaligned': 'IMAGE_DAMAGED',
  'lazy-refcounts-dirty': 'IMAGE_DIRTY',
  'refcount-too-low': 'IMAGE_DAMAGED',
  'refcount-zero': 'IMAGE_DAMAGED',
};
/** Refcounts that can't count one snapshot more. */
const FULL = new Set(['refcount-1', 'refcount-2', 'refcount-4']);

type Operation = 'create' | 'rename' | 'apply' | 'apply-and-save' | 'delete' | 'delete-all';
const OPERATIONS: readonly Operation[] = [
  'create',
  'rename',
  'apply',
  'apply-and-save',
  'delete',
  'delete-all',
];

function plan(image: OpenImage, operation: Operation): Promise<EditPlan> | undefined {
  const middle = image.snapshots[Math.floor(image.snapshots.length / 2)];
  const created = { name: 'planned here', date: DATE };
  if (operation === 'create') return planCreate(image, created);
  if (middle === undefined) return undefined;
  if (operation === 'rename') return planRename(image, middle, 'renamed here');
  if (operation === 'apply') return planApply(image, middle, { discardChanges: true });
  if (operation === 'apply-and-save') return planApply(image, middle, { saveAs: created });
  return planDelete(image, operation === 'delete' ? [middle] : image.snapshots);
}

/** The code that the operation is refused with, or undefined. */
function refusal(name: string, operation: Operation, image: Image): ErrorCode | undefined {
  const applies = operation === 'apply' || operation === 'apply-and-save';
  if (applies && image.bitmaps.length > 0) return 'BITMAPS_PRESENT';
  const code = REFUSED[name];
  if (code !== undefined) return code;
  const adds = operation === 'create' || operation === 'apply-and-save';
  return adds && FULL.has(name) ? 'REFCOUNT_OVERFLOW' : undefined;
}

async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return error.code;
  }
}

/** Every cluster that a range touches. */
function clustersOf(at: number, length: number, clusterBytes: number): number[] {
  const first = Math.floor(at / clusterBytes);
  const end = Math.ceil((at + length) / clusterBytes);
  return Array.from({ length: end - first }, (_, i) => first + i);
}

/** What docs/crash-safety.md relies on, held against an independent reading of the old state. */
function expectSafe(made: EditPlan, before: PlainImage): void {
  const { clusterBytes, stored } = before;
  const written = new Set<number>();
  for (const range of made.shadow.flatMap((write) => shadowWriteRanges(write))) {
    for (const cluster of clustersOf(range.at, range.length, clusterBytes)) {
      expect(written.has(cluster), `cluster ${cluster} is written twice`).toBe(false);
      const refcount = stored[cluster] ?? before.storedPastTheEnd.get(cluster) ?? 0n;
      expect(refcount, `refcount of cluster ${cluster}`).toBe(0n);
      expect(before.counted[cluster] ?? 0, `references to cluster ${cluster}`).toBe(0);
      written.add(cluster);
    }
  }
  for (const range of made.punch) {
    expect(range.at % clusterBytes).toBe(0);
    for (const cluster of clustersOf(range.at, range.length, clusterBytes)) {
      expect(written.has(cluster), `freed cluster ${cluster} is written`).toBe(false);
      expect(stored[cluster], `freed cluster ${cluster} was in use`).not.toBe(0n);
      expect(cluster).toBeGreaterThan(0);
    }
  }
  expect(made.switch.at).toBeGreaterThanOrEqual(24);
  expect(made.switch.at + made.switch.bytes.length).toBeLessThanOrEqual(96);
}

/** Clusters whose refcount is not the number of references to them, and by how much. */
function leaks({ stored, storedPastTheEnd, counted }: PlainImage): readonly [number, bigint][] {
  const excess = stored.map((refcount, i): [number, bigint] => [i, refcount - BigInt(counted[i]!)]);
  return [...excess.filter(([, by]) => by !== 0n), ...storedPastTheEnd];
}

function expectSound(name: string, before: PlainImage, after: PlainImage): void {
  expect(leaks(after), 'leaks are those from before').toEqual(leaks(before));
  const known = before.findings.filter((finding) => after.findings.includes(finding));
  if (!name.includes('copied-flags')) expect(after.findings).toEqual(known);
}

/** Disk maps by id, the active one first; VM state lies past the disk and is left out. */
function diskMap({ sizeBytes, map }: PlainImage['active'], image: PlainImage): unknown {
  const size = sizeBytes ?? image.active.sizeBytes!;
  const end = Number((size + BigInt(image.clusterBytes) - 1n) / BigInt(image.clusterBytes));
  return { size, map: [...map].filter(([guestCluster]) => guestCluster < end) };
}

function expectRightDisks(operation: Operation, before: PlainImage, after: PlainImage): void {
  const middle = Math.floor(before.snapshots.length / 2);
  const disks = ({ snapshots }: PlainImage) => snapshots.map(({ id, map }) => ({ id, map }));
  const old = disks(before);
  const applies = operation === 'apply' || operation === 'apply-and-save';
  const source = applies ? before.snapshots[middle]! : before.active;
  expect(diskMap(after.active, after)).toEqual(diskMap(source, before));
  if (operation === 'delete') old.splice(middle, 1);
  if (operation === 'delete-all') old.length = 0;
  expect(disks(after).slice(0, old.length)).toEqual(old);
  const added = after.snapshots.slice(old.length);
  const adds = operation === 'create' || operation === 'apply-and-save';
  expect(added).toHaveLength(adds ? 1 : 0);
  for (const snapshot of added) {
    expect(diskMap(snapshot, after)).toEqual(diskMap(before.active, before));
    expect(snapshot.name).toBe(Buffer.from('planned here').toString('hex'));
  }
}

/**
 * H3, H5: of the first cluster only the size and the places of tables change (bytes 24 to 31, 36 to
 * 71), and in version 3 the autoclear bits that the specification doesn't name are cleared.
 */
function expectSameHeader(before: Uint8Array, after: Uint8Array): void {
  const view = new DataView(before.buffer);
  const expected = before.slice(0, 2 ** view.getUint32(20));
  expected.set(after.subarray(24, 32), 24);
  expected.set(after.subarray(36, 72), 36);
  if (view.getUint32(4) === 3) {
    const known = view.getBigUint64(88) & 3n;
    new DataView(expected.buffer).setBigUint64(88, known);
  }
  expect(Buffer.compare(after.subarray(0, expected.length), expected)).toBe(0);
}

/**
 * R12: where guest data became free, what goes back to the host is what was in use and is free now, no
 * more and no less. Where only tables did, their room stays for the next edit.
 */
function expectPunched(made: EditPlan, before: PlainImage, after: PlainImage): void {
  const punched = made.punch.flatMap(({ at, length }) =>
    clustersOf(at, length, before.clusterBytes),
  );
  const freed = before.stored.flatMap((refcount, cluster) => {
    return refcount !== 0n && after.stored[cluster] === 0n ? [cluster] : [];
  });
  const freesData = freed.some((cluster) => before.data.has(cluster));
  expect(made.facts.freedDataBytes > 0).toBe(freesData);
  expect(punched).toEqual(freesData ? freed : []);
  expect(made.facts.freedBytes).toBe(freed.length * before.clusterBytes);
}

describe.each(FIXTURES)('%s', (name) => {
  test.each(oneIn(3, OPERATIONS, FIXTURES.indexOf(name)))(
    'S9, H3, H5, R1-R8, R12, A6-A10, A15, A16: %s is planned and carried out safely',
    async (op) => {
      const bytes = loadFixture(name);
      const device = memoryDevice(bytes);
      const image = await openImage(device);
      const planned = plan(image, op);
      if (planned === undefined) {
        expect(image.snapshots).toEqual([]);
        return;
      }
      const expected = refusal(name, op, image);
      if (expected !== undefined) {
        expect(await codeOf(planned)).toBe(expected);
        expect(Buffer.compare(device.snapshotBytes(), bytes)).toBe(0);
        return;
      }
      const made = await planned;
      const before = readPlainly(bytes);
      expect(Buffer.compare(device.snapshotBytes(), bytes), 'a plan writes nothing').toBe(0);
      expectSafe(made, before);
      await executePlan(madeOn(device, made));
      const after = readPlainly(device.snapshotBytes());
      expectSound(name, before, after);
      expectRightDisks(op, before, after);
      expectPunched(made, before, after);
      expectSameHeader(bytes, device.snapshotBytes());
    },
  );
});

/** Fixtures that can be edited and that QEMU judges without a key, and finds nothing wrong with. */
const JUDGED = FIXTURES.filter((name) => {
  const check = expectedJson(name, 'check.json') as { corruptions?: number; leaks?: number } | null;
  const clean = check !== null && check.corruptions === undefined && check.leaks === undefined;
  return clean && !(name in REFUSED) && recipe(name).secret === undefined;
});

describeWithQemu('QEMU finds every edited fixture sound', () => {
  test.each(oneIn(5, JUDGED))('%s', async (name) => {
    const device = memoryDevice(loadFixture(name));
    for (const operation of ['create', 'rename', 'apply', 'delete'] as const) {
      const image = await openImage(device);
      if (refusal(name, operation, image) !== undefined) continue;
      const made = await plan(image, operation);
      if (made !== undefined) await executePlan(madeOn(device, made));
    }
    const folder = temporaryDirectory();
    copyCompanions(name, folder);
    const path = join(folder, 'image.qcow2');
    writeFileSync(path, device.snapshotBytes());
    await expectClean(path);
  });
});
