import { expect, test } from 'vitest';
import {
  blobSource,
  executePlan,
  memoryDevice,
  openImage,
  openQcow,
  planCreate,
  QsnapError,
  type Progress,
} from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';
import { imageWith, written } from '../edit/snapshot/edited.js';
import { closedSound, expectSame, namesOf, opened, type Opened } from './images.js';

const FIVE = await opened('five-snapshots').then(({ image }) => namesOf(image));

/** An image of which the active disk holds what no snapshot holds. */
async function unsaved(): Promise<Opened> {
  const before = memoryDevice(imageWith({ 0: 1 }));
  const image = await openQcow(before);
  await image.create('one');
  const device = memoryDevice(written(before.snapshotBytes(), 0, 2));
  return { device, image: await openQcow(device) };
}

test('create: dated now, with the snapshot as it is in the image', async () => {
  const on = await opened('five-snapshots');
  const before = Math.floor(Date.now() / 1000);
  const done = await on.image.create('before upgrade');
  expect(done).toMatchObject({ operation: 'create', punchedBytes: 0 });
  expect(done.summary).toMatch(/^create snapshot \d+ "before upgrade"$/);
  expect(done.facts.shadowBytes).toBeGreaterThan(0);
  expect(done.created).toEqual([done.snapshot]);
  expect(done.snapshot).toBe(on.image.snapshots.at(-1));
  expect(done.snapshot.name).toBe('before upgrade');
  const { seconds } = done.snapshot.date;
  expect(seconds).toBeGreaterThanOrEqual(before);
  expect(seconds).toBeLessThanOrEqual(Date.now() / 1000);
  expect(done.fileSizeBytes).toBe(await on.device.sizeBytes());
  await closedSound(on);
});

test('create: with a date and an id', async () => {
  const on = await opened('five-snapshots');
  const date = new Date('2026-11-22T10:00:00.250Z');
  const { snapshot } = await on.image.create('dated', { date, id: '77' });
  expect(snapshot.id).toBe('77');
  const seconds = date.getTime() / 1000 - 0.25;
  expect(snapshot.date).toEqual({ seconds, nanoseconds: 250_000_000 });
  const stored = { seconds: 5, nanoseconds: 6 };
  expect((await on.image.create('raw', { date: stored })).snapshot.date).toEqual(stored);
  await expect(on.image.create('never', { date: new Date(NaN) })).rejects.toMatchObject({
    code: 'DATE_INVALID',
  });
  await closedSound(on);
});

test('delete: selectors and values, one or several, each once', async () => {
  const on = await opened('five-snapshots');
  const { image } = on;
  const [first, second, third] = image.snapshots;
  const done = await image.delete([`id:${first!.id}`, second!, first!]);
  expect(done).toMatchObject({ operation: 'delete', created: [] });
  expect(namesOf(image)).toEqual(FIVE.slice(2));
  await image.delete(third!);
  await image.delete('#0');
  expect(namesOf(image)).toEqual(FIVE.slice(4));
  await closedSound(on);
});

test('delete: in place', async () => {
  const on = await opened('five-snapshots');
  await on.image.delete(FIVE[1]!, { inPlace: true, verify: true });
  expect(namesOf(on.image)).toEqual(FIVE.filter((_, i) => i !== 1));
  await closedSound(on);
});

test('apply: refuses to lose anything, unless told to', async () => {
  const on = await unsaved();
  const { image } = on;
  await expect(image.apply('one')).rejects.toMatchObject({ code: 'UNSAVED_CHANGES' });
  expect(await image.unsavedChanges()).toMatchObject({ guestClusters: 1 });
  const done = await image.apply('one', { saveAs: 'kept' });
  expect(done.created.map(({ name }) => name)).toEqual(['kept']);
  expect(await image.unsavedChanges()).toBeUndefined();
  await image.apply('kept');
  expect((await (await image.disk()).read(0, 1))[0]).toBe(2);
  await closedSound(on);
});

test('apply: discards changes when told to', async () => {
  const on = await unsaved();
  await on.image.apply('one', { discardChanges: true });
  expect((await (await on.image.disk()).read(0, 1))[0]).toBe(1);
  await closedSound(on);
});

test('rename: resolves to the snapshot with its new name, closed or not', async () => {
  const on = await opened('five-snapshots');
  const bytes = new Promise<Uint8Array>((resolve) => {
    void on.image.rename('#1', 'release 1.2').then(({ snapshot }) => {
      expect(snapshot).toMatchObject({ index: 1, name: 'release 1.2' });
      resolve(on.device.snapshotBytes());
    });
  });
  const closed = on.image.close();
  const after = memoryDevice(await bytes);
  await closed;
  const image = await openQcow(after);
  expect(namesOf(image)[1]).toBe('release 1.2');
  await closedSound({ image, device: after });
});

test('resize: the header and the disk are those of now', async () => {
  const on = await opened('five-snapshots');
  const { diskSizeBytes } = on.image;
  await on.image.resize(diskSizeBytes * 2);
  expect(on.image.diskSizeBytes).toBe(diskSizeBytes * 2);
  await expect(on.image.resize(diskSizeBytes)).rejects.toMatchObject({
    code: 'SHRINK_NOT_ALLOWED',
  });
  await on.image.resize(diskSizeBytes, { shrink: true });
  expect((await on.image.disk()).sizeBytes).toBe(diskSizeBytes);
  await closedSound(on);
});

test('plans of all kinds can be looked at, and write nothing', async () => {
  const { image, device } = await opened('five-snapshots');
  const before = device.snapshotBytes();
  const plans = [
    await image.planCreate('new'),
    await image.planApply('#0', { saveAs: 'kept' }),
    await image.planDelete(['#0', '#1']),
    await image.planDelete('#0', { inPlace: true }),
    await image.planRename('#0', 'other'),
    await image.planResize(image.diskSizeBytes * 2),
    await image.planStrip({ whole: true }),
    await image.planSetBacking('none'),
  ];
  expect(plans.map(({ operation }) => operation)).toEqual([
    ...['create', 'apply', 'delete', 'delete', 'rename', 'resize', 'strip', 'set'],
  ]);
  expect(plans[1]!.created).toEqual([{ id: expect.any(String) as string, name: 'kept' }]);
  expectSame(device.snapshotBytes(), before);
});

test('setBacking: the image names another file at once, or none, and keeps its feature names', async () => {
  const on = await opened('five-snapshots');
  const kinds = () => on.image.header.backingName.bytes;
  const long = 'n'.repeat(500);
  const done = await on.image.setBacking({ name: long, format: 'qcow2' }, { verify: true });
  expect(done.summary).toBe(`stand on the backing file "${long}"`);
  expect(kinds()).toBe(500);
  const { extensions } = await openImage(memoryDevice(on.device.snapshotBytes()));
  expect(extensions.map(({ kind }) => kind)).toEqual(['backing-format', 'feature-names']);
  const planned = await on.image.planSetBacking('none');
  await on.image.execute(planned);
  expect(kinds()).toBe(0);
  expect(new TextDecoder().decode(on.device.snapshotBytes().subarray(0, 65_536))).not.toContain(
    'nnn',
  );
  await closedSound(on);
});

test('strip: the VM state of a snapshot goes, and its disk stays', async () => {
  const on = await opened('vm-state');
  await on.image.strip();
  expect(on.image.snapshots.map(({ vmStateBytes }) => vmStateBytes > 0)).toEqual([
    true,
    true,
    false,
  ]);
  const done = await on.image.strip({ snapshots: ['booted'], whole: true, passphrase: '' });
  expect(done.summary).toBe('take VM state out of snapshot 1 "booted"');
  expect(on.image.snapshots.map(({ vmStateBytes }) => vmStateBytes > 0)).toEqual([
    false,
    true,
    false,
  ]);
  await closedSound(on);
});

test('execute: the plan that was looked at; no other is good after it', async () => {
  const on = await opened('five-snapshots');
  const [plan, other] = [await on.image.planDelete('#0'), await on.image.planDelete('#1')];
  const done = await on.image.execute(plan);
  expect(done.summary).toBe(plan.summary);
  expect(done.facts).toEqual(plan.facts);
  expect(namesOf(on.image)).toEqual(FIVE.slice(1));
  for (const stale of [plan, other]) {
    await expect(on.image.execute(stale)).rejects.toMatchObject({ code: 'PLAN_STALE' });
  }
  await closedSound(on);
});

test('execute: a plan of another image is refused', async () => {
  const [on, other] = [await opened('five-snapshots'), await opened('five-snapshots')];
  const plan = await other.image.planDelete('#0');
  await expect(on.image.execute(plan)).rejects.toMatchObject({ code: 'PLAN_STALE' });
  expect(namesOf(on.image)).toEqual(FIVE);
  await closedSound(on);
});

test('a file that does not grow: planned once more with the clusters inside', async () => {
  const bytes = loadFixture('five-snapshots');
  const fits = memoryDevice(bytes, 'memory', { growable: false });
  const image = await openQcow(fits);
  const planned = await image.planDelete('#0').catch((error: unknown) => error);
  const full = memoryDevice(bytes, 'memory', { capacityBytes: bytes.length });
  const grown = await openQcow(full);
  const plan = await grown.planDelete('#0');
  expect(plan.facts.growthBytes).toBeGreaterThan(0);
  // Both ways end alike: there is room inside, or there is none.
  const done = await grown.execute(plan).catch((error: unknown) => error);
  const code = (value: unknown): unknown => (value as { code?: unknown }).code;
  expect(code(done)).toBe(code(planned));
  await closedSound({ image: grown, device: full });
});

test('no room at all: the old state, and a way to delete without', async () => {
  const on = await opened('five-snapshots');
  const before = on.device.snapshotBytes();
  const writeBatch = on.device.writeBatch.bind(on.device);
  on.device.writeBatch = (requests) =>
    requests[0]?.at === 24
      ? writeBatch(requests)
      : Promise.reject(new QsnapError('NO_SPACE', 'the disk is full'));
  const full = { code: 'NO_SPACE', details: { imageState: 'old' } };
  await expect(on.image.create('x')).rejects.toMatchObject(full);
  const failed = await on.image.delete('#0').catch((error: unknown) => error);
  expect(failed).toMatchObject(full);
  expect((failed as QsnapError).details.hint).toContain('{ inPlace: true }');
  on.device.writeBatch = writeBatch;
  expectSame(on.device.snapshotBytes(), before);
  await on.image.delete('#0', { inPlace: true });
  expect(namesOf(on.image)).toEqual(FIVE.slice(1));
  await closedSound(on);
});

test('edits wait for each other, and see what the one before made', async () => {
  const on = await opened('five-snapshots');
  const { image } = on;
  const done = await Promise.allSettled([
    image.create('a'),
    image.create('a'),
    image.rename('a', 'b'),
    image.create('a'),
    image.delete('b'),
  ]);
  expect(done.map(({ status }) => status)).toEqual([
    ...['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled'],
  ]);
  expect(done[1]).toMatchObject({ reason: { code: 'NAME_IN_USE' } });
  expect(namesOf(image)).toEqual([...FIVE, 'a']);
  await closedSound(on);
});

test('snapshots of before an edit are known again, or refused as stale', async () => {
  const on = await opened('five-snapshots');
  const [first, second] = on.image.snapshots;
  await on.image.delete(first!);
  await expect(on.image.delete(first!)).rejects.toMatchObject({ code: 'SNAPSHOT_STALE' });
  await expect(on.image.disk(first)).rejects.toMatchObject({ code: 'SNAPSHOT_STALE' });
  // It lies at another position by now, and is the same.
  await on.image.delete(second!);
  expect(namesOf(on.image)).toEqual(FIVE.slice(2));
  await closedSound(on);
});

test('an edit through the source, by the low-level functions, is noticed', async () => {
  const on = await opened('five-snapshots');
  const date = { seconds: 1, nanoseconds: 0 };
  const low = await openImage(on.device);
  await executePlan(await planCreate(low, { name: 'below', date }));
  const disk = await on.image.disk('below');
  expect(disk.snapshot!.name).toBe('below');
  expect(namesOf(on.image)).toContain('below');
  await closedSound(on);
});

test.each([['nope', 'SNAPSHOT_NOT_FOUND'] as const])('no snapshot %s: %s', async (choice, code) => {
  const { image } = await opened('five-snapshots');
  await expect(image.delete(choice)).rejects.toMatchObject({ code });
  await expect(image.apply(choice)).rejects.toMatchObject({ code });
  await expect(image.rename(choice, 'x')).rejects.toMatchObject({ code });
  await expect(image.disk(choice)).rejects.toMatchObject({ code });
  await expect(image.planDelete(choice)).rejects.toMatchObject({ code });
});

test('a source that is only read: plans and reads, and no edit', async () => {
  const image = await openQcow(
    blobSource(new Blob([loadFixture('five-snapshots').slice()]), 'blob'),
  );
  expect(image.writable).toBe(false);
  const plan = await image.planCreate('x');
  for (const edit of [
    image.create('x'),
    image.execute(plan),
    image.delete('#0'),
    image.rename('#0', 'x'),
    image.apply('#0'),
    image.resize(2 ** 20),
  ]) {
    await expect(edit).rejects.toMatchObject({ code: 'READ_ONLY', kind: 'request' });
  }
  expect((await image.check()).exitCode).toBe(0);
});

test('check: the whole report, with progress', async () => {
  const { image } = await opened('refcount-leaks');
  const told: Progress[] = [];
  const report = await image.check({ maxFindings: 1, onProgress: (one) => told.push(one) });
  expect(report.findings).toHaveLength(1);
  expect(report.totals.leaks).toBeGreaterThan(1);
  expect(told.at(-1)).toEqual({ phase: 'checking', done: 1, total: 1 });
});

test('owners: ranges that the disks have, in bytes', async () => {
  const { image, device } = await opened('five-snapshots');
  const { clusterBytes } = image.header.geometry;
  let end = 0;
  let shared = 0;
  for await (const { at, length, active, snapshots } of image.owners()) {
    expect(at).toBeGreaterThanOrEqual(end);
    expect([at % clusterBytes, length % clusterBytes]).toEqual([0, 0]);
    expect(Number(active) + snapshots.length).toBeGreaterThan(0);
    for (const snapshot of snapshots) expect(image.snapshots).toContain(snapshot);
    if (active && snapshots.length > 0) shared += length;
    end = at + length;
  }
  expect(end).toBeLessThanOrEqual(await device.sizeBytes());
  expect(shared).toBeGreaterThan(0);
});

// They went on after the edit, and told who had had the clusters before it.
test('owners: an edit, closing and a signal end them, as they end extents', async () => {
  const on = await opened('five-snapshots');
  const controller = new AbortController();
  const abort = (): Promise<void> => {
    controller.abort();
    return Promise.resolve();
  };
  const ends: readonly [string, () => Promise<unknown>][] = [
    ['IMAGE_CHANGED', () => on.image.delete('id:1')],
    ['ABORTED', abort],
  ];
  for (const [code, end] of ends) {
    const owners = on.image.owners({ signal: controller.signal });
    expect((await owners.next()).done).toBe(false);
    await end();
    await expect(owners.next(), code).rejects.toMatchObject({ code });
  }
  const owners = on.image.owners();
  expect((await owners.next()).done).toBe(false);
  await closedSound(on);
  await expect(owners.next()).rejects.toMatchObject({ code: 'CLOSED' });
});

test('progress of an edit: planned, checked, written', async () => {
  const on = await opened('five-snapshots');
  const told: Progress[] = [];
  await on.image.create('x', { verify: true, onProgress: (one) => told.push(one) });
  const phases = told.map(({ phase }) => phase);
  expect(phases[0]).toBe('planning');
  expect(new Set(phases)).toEqual(new Set(['planning', 'checking', 'writing']));
  const last = told.at(-1)!;
  expect(last.phase).toBe('writing');
  expect(last.done).toBe(last.total);
  await closedSound(on);
});

test('verify: an image with flaws may have them', async () => {
  const on = await opened('copied-flags-wrong');
  expect((await on.image.check()).totals.corruptions).toBe(3);
  await on.image.create('x', { verify: true });
  expect((await on.image.check()).totals.corruptions).toBe(0);
  await closedSound(on);
});

// The file grows over a cluster that had a refcount behind the old end: `qemu-img snapshot -c` leaves that leak, too.
test('verify: a leak that was behind the end of the file is none of the edit', async () => {
  const on = await opened('refcount-leaks');
  const before = (await on.image.check()).totals.leaks;
  await on.image.create('x', { verify: true });
  await on.image.rename('x', 'y', { verify: true });
  await on.image.apply('y', { verify: true });
  await on.image.resize(2 ** 19, { verify: true });
  await on.image.delete('y', { inPlace: true, verify: true });
  await on.image.delete('first', { verify: true });
  const { corruptions, leaks } = (await on.image.check()).totals;
  expect([corruptions, leaks]).toEqual([0, before + 1]);
  await on.image.close();
});

test('usage: with progress up to the end, of the image as it is, and ended by a signal', async () => {
  const on = await opened('five-snapshots');
  const phases = new Set<string>();
  let last = 0;
  const usage = await on.image.usage({
    onProgress: ({ phase, done, total }) => {
      phases.add(phase);
      last = done / total;
    },
  });
  expect([...phases]).toEqual(['measuring']);
  expect(last).toBe(1);
  expect(usage.snapshots.map(({ snapshot }) => snapshot?.name)).toEqual(FIVE);
  await on.image.delete('#0');
  expect((await on.image.usage()).snapshots).toHaveLength(4);
  const stopped = on.image.usage({ signal: AbortSignal.abort('enough') });
  await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
  await closedSound(on);
});
