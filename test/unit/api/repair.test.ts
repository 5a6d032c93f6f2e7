import { expect, test } from 'vitest';
import {
  blobSource,
  executeUndo,
  memoryDevice,
  openQcow,
  QsnapError,
  saveUndo,
  type FindingCode,
  type Progress,
} from '../../../src/index.js';
import { newSha256 } from '../../../src/node/index.js';
import { loadFixture } from '../../support/fixture.js';
import { damaged, EXAMPLES } from '../read/check/examples.js';
import { closedSound, expectSame, namesOf, opened, type Opened } from './images.js';

async function damagedBy(code: FindingCode): Promise<Opened> {
  const device = memoryDevice(damaged(EXAMPLES[code]).bytes, code);
  return { device, image: await openQcow(device) };
}

const codesOf = ({ findings }: { findings: readonly { code: FindingCode }[] }): FindingCode[] =>
  findings.map(({ code }) => code);

test.each(['refcount-too-low', 'refcount-leaks', 'refcount-zero', 'copied-flags-wrong'])(
  '%s: mended, said by code, and nothing is left',
  async (fixture) => {
    const on = await opened(fixture);
    const before = await on.image.check();
    expect(before.findings.length).toBeGreaterThan(0);
    const done = await on.image.repair();
    expect(done).toMatchObject({ operation: 'repair', isWritten: true });
    expect(done.before).toEqual(before);
    expect(done.after).toMatchObject({ exitCode: 0, findings: [] });
    expect(done.mended.map(({ code }) => code).toSorted()).toEqual(
      [...new Set(codesOf(before))].toSorted(),
    );
    expect(done.mended.reduce((sum, { count }) => sum + count, 0)).toBe(before.findings.length);
    expect(done.fileSizeBytes).toBe(await on.device.sizeBytes());
    // Now edits take it.
    await on.image.create('mended');
    await closedSound(on);
  },
);

test('a sound image: nothing is written, and its plans stay good', async () => {
  const on = await opened('five-snapshots');
  const before = on.device.snapshotBytes();
  const plan = await on.image.planCreate('still good');
  const done = await on.image.repair();
  expect(done).toMatchObject({ isWritten: false, mended: [], punchedBytes: 0 });
  expect(done.fileSizeBytes).toBe(before.length);
  expectSame(on.device.snapshotBytes(), before);
  await on.image.execute(plan);
  await closedSound(on);
});

test('a class mends its own: what is left is told', async () => {
  const on = await damagedBy('L2_ENTRY_MISALIGNED');
  const all = await on.image.repair();
  expect(codesOf(all.after)).toContain('L2_ENTRY_MISALIGNED');
  const given = await on.image.repair('unreadable');
  expect(given.mended).toContainEqual({ code: 'L2_ENTRY_MISALIGNED', count: 1 });
  expect(given.givenUp.l2).toBe(1);
  await on.image.repair(['all', 'perhaps-lost']);
  await closedSound(on);
});

test('findings of a check are targets, as values and in words; none of them is no class', async () => {
  const on = await opened('refcount-leaks');
  const { findings } = await on.image.check();
  const [first, ...others] = findings;
  const untouched = await on.image.repair(findings.filter(() => false));
  expect(untouched.isWritten).toBe(false);
  const one = await on.image.planRepair(first);
  expect(one.choice).toMatchObject({
    classes: [],
    findings: [{ code: first!.code, at: first!.at }],
  });
  expect(one.after.findings.length).toBe(others.length);
  const words = others.map(({ code, at }) => `${code}@0x${at.toString(16)}` as const);
  const { mended } = await on.image.repair([first!, ...words]);
  expect(mended.reduce((sum, { count }) => sum + count, 0)).toBe(findings.length);
  expect((await on.image.check()).findings).toEqual([]);
  await closedSound(on);
});

test('a word that is neither a class nor a finding', async () => {
  const { image } = await opened('refcount-leaks');
  const word = 'everything' as 'all';
  const invalid = { code: 'REPAIR_CHOICE_INVALID' };
  await expect(image.repair(word)).rejects.toMatchObject(invalid);
  await expect(image.planRepair(word)).rejects.toMatchObject(invalid);
});

test('a plan to look at: foretells what is found then, and is carried out', async () => {
  const on = await opened('refcount-too-low');
  const bytes = on.device.snapshotBytes();
  const proposal = await on.image.planRepair('all');
  expectSame(on.device.snapshotBytes(), bytes);
  expect(proposal.after.findings).toEqual([]);
  const done = await on.image.execute(proposal, { verify: true });
  expect(done.after.totals).toEqual(proposal.after.totals);
  expect(done.before).toBe(proposal.before);
  await expect(on.image.execute(proposal)).rejects.toMatchObject({ code: 'PLAN_STALE' });
  await closedSound(on);
});

test('a plan is refused after another edit, also one that writes nothing, and by another image', async () => {
  const on = await opened('five-snapshots');
  const nothing = await on.image.planRepair();
  expect(nothing.plan).toBeUndefined();
  await on.image.create('meanwhile');
  const stale = { code: 'PLAN_STALE' };
  await expect(on.image.execute(nothing)).rejects.toMatchObject(stale);
  const other = await opened('refcount-leaks');
  const proposal = await other.image.planRepair();
  await expect(on.image.execute(proposal)).rejects.toMatchObject(stale);
  await closedSound(on);
});

test('snapshots that are dropped by name, by entry or as text', async () => {
  const on = await opened('five-snapshots');
  const names = namesOf(on.image);
  const [first] = on.image.snapshots;
  const { facts } = await on.image.repair('all', { dropSnapshots: [first!, 'id:3'] });
  expect(facts.droppedSnapshots!.named.map(({ name }) => name)).toEqual([names[0], names[2]]);
  expect(namesOf(on.image)).toEqual(names.filter((_, i) => i !== 0 && i !== 2));
  const gone = { dropSnapshots: [first!] };
  await expect(on.image.repair('all', gone)).rejects.toMatchObject({ code: 'SNAPSHOT_STALE' });
  await on.image.repair('leaks');
  await closedSound(on);
});

test('an L1 table that is given up, of a snapshot and of the active disk', async () => {
  const on = await opened('five-snapshots');
  const choice = { emptyL1s: ['active', 'id:2'] };
  const { choice: made } = await on.image.repair(['all', 'leaks'], choice);
  expect(made.emptyL1s).toEqual(['active', 1]);
  const disk = await on.image.disk();
  expect((await disk.read(0, 4096)).every((byte) => byte === 0)).toBe(true);
  await closedSound(on);
});

test('a lost part of the snapshot table: opened, and given up by name', async () => {
  const bytes = loadFixture('five-snapshots');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(60, view.getUint32(60) + 60_000);
  const device = memoryDevice(bytes);
  const image = await openQcow(device);
  expect(image.unread.length).toBe(1);
  await image.repair('all', { dropUnreadSnapshots: true });
  expect(image.unread).toEqual([]);
  expect(image.snapshots.length).toBe(5);
  await closedSound({ image, device });
});

test('an undo puts back what a planned repair overwrites', async () => {
  const on = await opened('refcount-too-low');
  const before = on.device.snapshotBytes();
  const { plan, ...rest } = await on.image.planRepair();
  const undo = memoryDevice();
  const about = { image: 'refcount-too-low', operation: 'repair' };
  await saveUndo(on.device, plan!, undo, newSha256, about);
  await expect(on.image.execute({ plan, ...rest })).rejects.toMatchObject({ code: 'PLAN_STALE' });
  await on.image.execute(await on.image.planRepair());
  const repaired = on.device.snapshotBytes();
  await executeUndo(on.device, undo, newSha256);
  expectSame(on.device.snapshotBytes(), before);
  await closedSound({ image: on.image, device: memoryDevice(repaired) });
});

test('read-only: a plan, and no repair', async () => {
  const blob = new Blob([loadFixture('refcount-leaks').slice().buffer]);
  const image = await openQcow(blobSource(blob));
  expect((await image.planRepair()).plan).toBeDefined();
  await expect(image.repair()).rejects.toMatchObject({ code: 'READ_ONLY' });
  await image.close();
});

test.each([
  ['refcount-too-low', ['planning', 'writing', 'checking']],
  // A mark is planned twice, and nothing but the switch is written for it.
  ['dirty', ['planning', 'checking']],
])('progress of %s: %j', async (fixture, expected) => {
  const on = await opened(fixture);
  const told: Progress[] = [];
  await on.image.repair('all', { onProgress: (progress) => told.push(progress) });
  const phases = told.map(({ phase }) => phase);
  expect([...new Set(phases)]).toEqual(expected);
  expect(told.every(({ done, total }) => done <= total)).toBe(true);
  const planning = told.filter(({ phase }) => phase === 'planning').map(({ done }) => done);
  expect(planning).toEqual(planning.toSorted((a, b) => a - b));
  expect(planning.at(-1)).toBe(1);
  await closedSound(on);
});

/** Ends all work at the nth call of a method of the device. */
function abortsAt(on: Opened, method: 'flush' | 'punchBatch', nth: number): AbortSignal {
  const controller = new AbortController();
  const original = on.device[method].bind(on.device) as (...args: unknown[]) => Promise<never>;
  let calls = 0;
  on.device[method] = (...args: unknown[]) => {
    calls += 1;
    if (calls === nth) controller.abort();
    return original(...args);
  };
  return controller.signal;
}

test('a signal before the switch: the image is as damaged as before', async () => {
  const on = await opened('refcount-too-low');
  const before = await on.image.check();
  const signal = abortsAt(on, 'flush', 1);
  await expect(on.image.repair('all', { signal })).rejects.toMatchObject({
    code: 'ABORTED',
    details: { imageState: 'old' },
  });
  expect((await on.image.check()).findings).toEqual(before.findings);
  await on.image.repair();
  await closedSound(on);
});

test('a signal after the switch: the repair is done, and found as foretold', async () => {
  const on = await opened('refcount-too-low');
  const signal = abortsAt(on, 'flush', 3);
  const done = await on.image.repair('all', { signal });
  expect(signal.aborted).toBe(true);
  expect(done.isWritten).toBe(true);
  expect(done.after.findings).toEqual([]);
  await closedSound(on);
});

test('a check that fails afterwards: the image is the new one', async () => {
  const on = await opened('refcount-too-low');
  const flush = on.device.flush.bind(on.device);
  const readBatch = on.device.readBatch.bind(on.device);
  let flushes = 0;
  on.device.flush = async () => {
    await flush();
    flushes += 1;
  };
  let reads = 0;
  on.device.readBatch = async (requests) => {
    // The image is opened again by one read or more; a check begins with the same.
    if (flushes >= 3 && ++reads > 6) throw unreadable();
    await readBatch(requests);
  };
  await expect(on.image.repair()).rejects.toMatchObject({ details: { imageState: 'new' } });
  on.device.readBatch = readBatch;
  await closedSound(on);
});

const unreadable = (): QsnapError => new QsnapError('READ_FAILED', 'the cable is out');
