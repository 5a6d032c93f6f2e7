import { describe, expect, test } from 'vitest';
import { QsnapError } from '../../../../src/errors.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice, type MemoryDevice } from '../../../../src/io/memory.js';
import { planCreate } from '../../../../src/edit/snapshot/create.js';
import {
  executeTogether,
  type Part,
  type TogetherRecord,
} from '../../../../src/edit/tx/execute-together.js';
import { checkPlain } from '../../../support/crash-judge.js';
import { loadFixture } from '../../../support/fixture.js';

const DATE = { seconds: 1, nanoseconds: 0 };
const lost = (): QsnapError => new QsnapError('WRITE_FAILED', 'the medium is gone');

interface Pair {
  readonly devices: readonly [MemoryDevice, MemoryDevice];
  readonly parts: readonly Part[];
  /** What becomes of the record, in order. */
  readonly events: string[];
  readonly record: TogetherRecord;
}

async function pair(): Promise<Pair> {
  const bytes = loadFixture('cluster-512');
  const devices = [memoryDevice(bytes, 'a'), memoryDevice(bytes, 'b')] as const;
  const parts: Part[] = [];
  for (const device of devices) {
    parts.push({ plan: await planCreate(await openImage(device), { name: 'new', date: DATE }) });
  }
  const events: string[] = [];
  const note = (event: string) => (): Promise<void> => {
    events.push(event);
    return Promise.resolve();
  };
  const record = {
    prepare: note('prepare'),
    write: note('write'),
    discard: note('discard'),
    takeBack: note('take back'),
    remove: note('remove'),
  };
  return { devices, parts, events, record };
}

/** The calls that come once the record is written. */
function failsAfter(device: MemoryDevice, call: 'flush' | 'writeBatch', events: string[]): void {
  const works = device[call].bind(device) as (...args: unknown[]) => Promise<void>;
  let isGone = false;
  device[call] = (...args: unknown[]) => {
    isGone ||= events.includes('write');
    return isGone ? Promise.reject(lost()) : works(...args);
  };
}

async function isNew(device: MemoryDevice): Promise<boolean> {
  expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
  const { snapshots } = await openImage(device);
  return snapshots.some(({ name }) => name === 'new');
}

test('writes the record before the first switch, and removes it after the last one', async () => {
  const { devices, parts, events, record } = await pair();
  const headers: boolean[][] = [];
  const look = (next: () => Promise<void>) => async (): Promise<void> => {
    headers.push([await isNew(devices[0]), await isNew(devices[1])]);
    await next();
  };
  const watched = {
    ...record,
    write: look(() => record.write()),
    remove: look(() => record.remove()),
  };
  const progress: number[] = [];
  const reports = await executeTogether(parts, {
    record: watched,
    onProgress: (done, total) => progress.push(done / total),
  });
  expect(reports).toHaveLength(2);
  expect(headers).toEqual([
    [false, false],
    [true, true],
  ]);
  expect(events).toEqual(['prepare', 'write', 'discard', 'remove']);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(progress.at(-1)).toBe(1);
});

describe('a switch that fails', () => {
  test('is made undone, and so are those before it', async () => {
    const { devices, parts, events, record } = await pair();
    const flush = devices[1].flush.bind(devices[1]);
    let failed = false;
    devices[1].flush = () => {
      if (failed || !events.includes('write')) return flush();
      failed = true;
      return Promise.reject(lost());
    };
    await expect(executeTogether(parts, { record })).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      details: { file: 'b', imageState: 'old' },
    });
    expect([await isNew(devices[0]), await isNew(devices[1])]).toEqual([false, false]);
    expect(events).toEqual(['prepare', 'write', 'discard', 'take back']);
    const { length } = loadFixture('cluster-512');
    for (const device of devices) expect(await device.sizeBytes()).toBe(length);
  });

  test('and can not be made undone leaves the record, and says what each image has', async () => {
    const { devices, parts, events, record } = await pair();
    failsAfter(devices[1], 'flush', events);
    await expect(executeTogether(parts, { record })).rejects.toMatchObject({
      message: 'the medium is gone; a has its old state, b has its old state or the new one',
      details: {
        imageState: 'old-or-new',
        imageStates: { a: 'old', b: 'old-or-new' },
        hintCode: 'resume-group',
      },
    });
    expect(await isNew(devices[0])).toBe(false);
    expect(events).toEqual(['prepare', 'write', 'discard']);
  });

  test('because somebody else wrote the header leaves theirs alone', async () => {
    const { devices, parts, events, record } = await pair();
    const theirs = new Uint8Array(8).fill(0xee);
    const meddled = {
      ...record,
      write: async () => {
        await record.write();
        await devices[1].writeBatch([{ at: 64, bytes: theirs }]);
      },
    };
    await expect(executeTogether(parts, { record: meddled })).rejects.toMatchObject({
      code: 'IMAGE_CHANGED',
      details: { file: 'b', imageState: 'old' },
    });
    expect(devices[1].snapshotBytes().subarray(64, 72)).toEqual(theirs);
    expect(await isNew(devices[0])).toBe(false);
    expect(events).toEqual(['prepare', 'write', 'discard', 'take back']);
  });
});

test('a record that can not be removed stays, and that is said', async () => {
  const { devices, parts, events, record } = await pair();
  failsAfter(devices[0], 'writeBatch', events);
  const stuck = { ...record, takeBack: () => Promise.reject(lost()) };
  const error = executeTogether(parts.toReversed(), { record: stuck });
  await expect(error).rejects.toMatchObject({ details: { imageState: 'old-or-new' } });
  const again = await pair();
  const noRecord = { ...stuck, write: () => Promise.reject(lost()) };
  await expect(executeTogether(again.parts, { record: noRecord })).rejects.toMatchObject({
    details: {
      imageState: 'old',
      hint: expect.stringContaining('remove it by hand') as string,
    },
  });
  const third = await pair();
  const remains = { ...third.record, remove: () => Promise.reject(lost()) };
  await expect(executeTogether(third.parts, { record: remains })).rejects.toMatchObject({
    details: { imageState: 'new', hintCode: 'resume-group' },
  });
  expect(await isNew(third.devices[1])).toBe(true);
});

test('a plan that is used up is refused before the others are', async () => {
  const { devices, parts, record } = await pair();
  await executeTogether([parts[1]!], { record });
  await expect(executeTogether(parts, { record })).rejects.toMatchObject({ code: 'PLAN_STALE' });
  await executeTogether([parts[0]!], { record });
  expect(await isNew(devices[0])).toBe(true);
});
