import { describe, expect, test, vi } from 'vitest';
import { isQsnapError, QsnapError } from '../../../src/errors.js';
import { ImageGroup } from '../../../src/api/group/image-group.js';
import { openQcow } from '../../../src/api/open-qcow.js';
import { blobSource } from '../../../src/io/blob.js';
import { memoryDevice, type MemoryDevice } from '../../../src/io/memory.js';
import { checkPlain } from '../../support/crash-judge.js';
import { groupOf, MemoryRecord, named } from '../../support/group.js';
import {
  alike,
  groupStates,
  NEW_NAME,
  recorded,
  type GroupEdit,
} from '../../support/group-cuts.js';
import { randomFrom } from '../../support/model-random.js';

const FIXTURES = ['cluster-512', 'l1-larger-than-needed'];

async function devices(...fixtures: readonly string[]): Promise<MemoryDevice[]> {
  const names = fixtures.length > 0 ? fixtures : FIXTURES;
  const all = await Promise.all(names.map(alike));
  return all.map((bytes, i) => named(memoryDevice(bytes), `image ${i}`));
}

async function failure(work: Promise<unknown>): Promise<QsnapError> {
  const error: unknown = await work.then(() => undefined).catch((caught: unknown) => caught);
  expect(isQsnapError(error), String(error)).toBe(true);
  return error as QsnapError;
}

async function namesOf(device: MemoryDevice): Promise<readonly string[]> {
  const { snapshots } = await openQcow(device);
  return snapshots.map(({ name }) => name);
}

function expectSound(...all: readonly MemoryDevice[]): void {
  for (const device of all) expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
}

const lost = (): QsnapError => new QsnapError('WRITE_FAILED', 'gone');

/** The images after a cut that left the first one new and the second one old, and the record. */
async function cut(
  make: GroupEdit['make'],
  prepare: (image: MemoryDevice) => Promise<unknown> = () => Promise.resolve(),
): Promise<{ readonly images: readonly MemoryDevice[]; readonly record: MemoryRecord }> {
  const prepared = await devices();
  for (const device of prepared) await prepare(device);
  const images = prepared.map((device) => device.snapshotBytes());
  const whole = await recorded(images, make);
  expect(whole.error).toBeUndefined();
  const after = whole.devices.map((device) => device.snapshotBytes());
  const { record } = [
    ...groupStates(whole, images, randomFrom(1), { seed: 1, subsetLimit: 0, samples: 0, most: 4 }),
  ].findLast((state) => state.record !== undefined)!;
  const bytes = [after[0]!, images[1]!];
  return {
    images: bytes.map((one, i) => named(memoryDevice(one), `image ${i}`)),
    record: new MemoryRecord(record),
  };
}

const create: GroupEdit['make'] = (group) => group.create(NEW_NAME);
const remove: GroupEdit['make'] = (group) => group.delete(['first', 'last']);
const apply: GroupEdit['make'] = (group) => group.apply('first', { discardChanges: true });
const again = { discardChanges: true };

describe('resume', () => {
  test.each([
    ['create', create],
    ['delete', remove],
    ['apply', apply],
  ] as const)('makes a %s on the image that lacks it', async (operation, make) => {
    const { images, record } = await cut(make);
    const group = groupOf(images, record);
    expect(await group.unfinished()).toMatchObject({ request: { operation } });
    const planned = await group.planResume(again);
    expect(planned!.images.map(({ file }) => file)).toEqual(['image 1']);
    expect(planned!.haveIt).toEqual(['image 0']);
    const done = await group.resume({ operation, ...again });
    expect(done!.images.map(({ file, plan }) => [file, plan.operation])).toEqual([
      ['image 1', operation],
    ]);
    expect(record.bytes).toBeUndefined();
    expect(await group.resume()).toBeUndefined();
    expect(await group.planResume()).toBeUndefined();
    expectSound(...images);
  });

  // An edit of the image by itself puts its tables to the same places: the header is the recorded one.
  test('a create that another one took the place of is made', async () => {
    const { images, record } = await cut(create);
    await (await openQcow(images[1]!)).create('another');
    expect((await groupOf(images, record).resume())!.images).toHaveLength(1);
    expect(await namesOf(images[1]!)).toEqual(expect.arrayContaining(['another', NEW_NAME]));
    expectSound(...images);
  });

  test('an apply that another one took the place of is refused', async () => {
    const { images, record } = await cut(apply);
    await (await openQcow(images[1]!)).apply('last', { discardChanges: true });
    const error = await failure(groupOf(images, record).resume());
    expect(error).toMatchObject({ code: 'GROUP_CHANGED', details: { file: 'image 1' } });
    expect(error.details.hint).toMatch(/remove the record of the edit: the record$/);
    expect(record.bytes).toBeDefined();
    // By hand it has it: then the images need no more.
    await (await openQcow(images[1]!)).create('by hand');
    expect((await failure(groupOf(images, record).resume())).code).toBe('GROUP_CHANGED');
    expectSound(...images);
  });

  // Between the cut and now a guest may have written: what was given up then is not what is there now.
  test('an apply gives up what disks hold only if it is told so again', async () => {
    // What the active disk holds is in no snapshot then.
    const { images, record } = await cut(apply, async (device) => {
      const image = await openQcow(device);
      await image.delete(image.snapshots.map(({ id }) => `id:${id}`).slice(1));
    });
    const bytes = images[1]!.snapshotBytes();
    const error = await failure(groupOf(images, record).resume());
    expect(error).toMatchObject({
      code: 'UNSAVED_CHANGES',
      details: { file: 'image 1', hintCode: 'discard-in-resume' },
    });
    expect(await failure(groupOf(images, record).planResume())).toMatchObject({
      details: { hintCode: 'discard-in-resume' },
    });
    expect(Buffer.compare(images[1]!.snapshotBytes(), bytes)).toBe(0);
    expect(record.bytes).toBeDefined();
    await groupOf(images, record).resume(again);
    expect(record.bytes).toBeUndefined();
    expectSound(...images);
  });

  test('an apply that keeps the disks keeps that of the image that is left', async () => {
    const { images, record } = await cut((group) => group.apply('first', { saveAs: NEW_NAME }));
    const saved = await groupOf(images, record).resume();
    expect(saved!.images.map(({ plan }) => plan.created.map(({ name }) => name))).toEqual([
      [NEW_NAME],
    ]);
    expectSound(...images);
  });

  test('a snapshot that got the name of a deleted one stays', async () => {
    const { images, record } = await cut(remove);
    await (await openQcow(images[0]!)).create('first');
    const done = await groupOf(images, record).resume();
    expect(done).toMatchObject({
      names: ['first', 'last'],
      haveIt: ['image 0'],
      haveAnew: ['image 0'],
    });
    expect(await namesOf(images[0]!)).toContain('first');
    expect(await namesOf(images[1]!)).not.toContain('first');
    expectSound(...images);
  });

  test('of another kind, or of other images, is refused', async () => {
    const { images, record } = await cut(create);
    const error = await failure(groupOf(images, record).resume({ operation: 'delete' }));
    expect(error).toMatchObject({ code: 'GROUP_UNFINISHED', details: { actual: 'create' } });
    record.read = async () => ({
      ...(await new MemoryRecord(record.bytes).read())!,
      images: undefined,
    });
    expect((await failure(groupOf(images, record).resume())).details.candidates).toHaveLength(2);
    expect((await failure(groupOf(images, record).create('x'))).code).toBe('GROUP_UNFINISHED');
    expectSound(...images);
  });

  // The program that was killed may not have flushed the image that looks new.
  test('flushes what an image has already before the record goes', async () => {
    const { images, record } = await cut(create);
    await (await openQcow(images[1]!)).create('meanwhile');
    const flushes = images.map((image) => vi.spyOn(image, 'flush'));
    flushes[0]!.mockRejectedValueOnce(lost());
    const error = await failure(groupOf(images, record).resume());
    expect(error).toMatchObject({
      code: 'WRITE_FAILED',
      details: { file: 'image 0', imageState: 'old-or-new', hintCode: 'resume-group' },
    });
    expect(flushes[1]).not.toHaveBeenCalled();
    expect(record.bytes).toBeDefined();
    const writes = vi.spyOn(images[0]!, 'writeBatch');
    await groupOf(images, record).resume();
    expect(writes.mock.calls.map(([[write]]) => [write!.at, write!.bytes.length])).toEqual([
      [24, 72],
    ]);
    expect(record.bytes).toBeUndefined();
    expectSound(...images);
  });

  test('that fails says what the images have that were not touched', async () => {
    const { images, record } = await cut(create);
    const flush = images[1]!.flush.bind(images[1]);
    // The first one is of what it is found with.
    vi.spyOn(images[1]!, 'flush').mockRejectedValue(lost()).mockImplementationOnce(flush);
    const error = await failure(groupOf(images, record).resume());
    expect(error).toMatchObject({
      code: 'WRITE_FAILED',
      message: 'gone; image 0 has its new state, image 1 has its old state',
      details: { imageState: 'old-or-new', hintCode: 'resume-group' },
    });
    expect(error.details.imageStates).toEqual({ 'image 0': 'new', 'image 1': 'old' });
    expect(record.bytes).toBeDefined();
    expectSound(...images);
  });
});

describe('a group', () => {
  test('takes one date for all, and plans before it writes', async () => {
    const images = await devices();
    const group = groupOf(images);
    const date = new Date('2026-11-22T14:03:12.345Z');
    const planned = await group.planCreate('new', { date });
    expect(planned.images.map(({ plan }) => plan.created.map(({ name }) => name))).toEqual([
      ['new'],
      ['new'],
    ]);
    expect(await namesOf(images[0]!)).not.toContain('new');
    const phases = new Set<string>();
    const { request, images: done } = await group.create('new', {
      date,
      verify: true,
      onProgress: ({ phase }) => phases.add(phase),
    });
    expect(request).toMatchObject({ date: { nanoseconds: 345_000_000 } });
    expect(done.every(({ report }) => report.fileSizeBytes > 0)).toBe(true);
    expect([...phases].sort()).toEqual(['checking', 'planning', 'writing']);
    expect((await group.planApply('new')).images).toHaveLength(2);
    const { images: doomed } = await group.planDelete('new');
    expect(doomed.map(({ chosen }) => chosen.map(({ name }) => name))).toEqual([['new'], ['new']]);
    expectSound(...images);
  });

  test('lists what is where, and where states have drifted apart', async () => {
    const images = await devices();
    await (await openQcow(images[0]!)).create('lone', { date: { seconds: 1, nanoseconds: 0 } });
    await (await openQcow(images[0]!)).apply('first', { discardChanges: true });
    await (await openQcow(images[1]!)).apply('last', { discardChanges: true });
    const { names, driftedApart, images: listed } = await groupOf(images).list();
    expect(names.map(({ name, isEverywhere }) => [name, isEverywhere])).toEqual([
      ['first', true],
      ['last', true],
      ['lone', false],
    ]);
    expect(listed.map(({ isEqual }) => isEqual)).toEqual([true, true]);
    expect(driftedApart).toBe(true);
    await (await openQcow(images[1]!)).apply('first', { discardChanges: true });
    expect((await groupOf(images).list()).driftedApart).toBe(false);
    expectSound(...images);
  });

  test('one of whose files has no room at all stays as it was', async () => {
    const [first, second] = await devices();
    const bytes = [first!.snapshotBytes(), second!.snapshotBytes()];
    const options = { capacityBytes: bytes[1]!.length };
    const full = named(memoryDevice(bytes[1], 'full', options), 'image 1');
    const error = await failure(groupOf([first!, full]).create('new'));
    expect(error).toMatchObject({ code: 'NO_SPACE', details: { file: 'image 1' } });
    expect(
      Buffer.compare(first!.snapshotBytes().subarray(0, 512), bytes[0]!.subarray(0, 512)),
    ).toBe(0);
    expect(await first!.sizeBytes()).toBe(bytes[0]!.length);
    expectSound(first!, full);
  });

  test('refuses what chooses other names on other images', async () => {
    const images = await devices();
    await (await openQcow(images[0]!)).create('lone', { id: '9' });
    await (await openQcow(images[1]!)).create('solo', { id: '9' });
    const group = groupOf(images);
    expect(await failure(group.delete('lone'))).toMatchObject({
      code: 'SNAPSHOT_NOT_FOUND',
      details: { file: 'image 1', hintCode: 'list-group' },
    });
    const apart = await failure(group.delete(['id:9']));
    expect(apart.code).toBe('SNAPSHOT_AMBIGUOUS');
    expect(apart.message).toBe('"id:9" is "lone" in image 0 and "solo" in image 1');
    expect((await failure(group.apply('#77'))).code).toBe('SNAPSHOT_NOT_FOUND');
    expectSound(...images);
  });

  test('refuses what is no option, is closed, is only read, or was stopped', async () => {
    const images = await devices();
    const group = groupOf(images);
    await expect(group.create(7 as unknown as string)).rejects.toThrow(TypeError);
    await expect(group.create('x', { id: '3' } as object)).rejects.toThrow(TypeError);
    await expect(group.apply('x', { saveAs: 3 } as object)).rejects.toThrow(TypeError);
    await expect(group.delete([3] as unknown as string[])).rejects.toThrow(TypeError);
    await expect(group.delete([])).rejects.toThrow(TypeError);
    await expect(group.planDelete([])).rejects.toThrow(TypeError);
    await expect(group.resume({ operation: 'rename' } as object)).rejects.toThrow(TypeError);
    const stopped = { signal: AbortSignal.abort() };
    expect((await failure(group.create('x', stopped))).code).toBe('ABORTED');
    const source = blobSource(new Blob([images[0]!.snapshotBytes()]));
    const reading = new ImageGroup([source], new MemoryRecord());
    expect((await failure(reading.create('x'))).code).toBe('READ_ONLY');
    expectSound(...images);
    await group.close();
    await group[Symbol.asyncDispose]();
    expect((await failure(group.list())).code).toBe('CLOSED');
  });
});
