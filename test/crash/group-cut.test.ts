import { createHash } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError, QsnapError, type ImageState } from '../../src/errors.js';
import { memoryDevice } from '../../src/io/memory.js';
import { checkPlain, contentsOf, type Contents } from '../support/crash-judge.js';
import { sameContents, shortcomings } from '../support/crash-judge-edits.js';
import { groupOf, MemoryRecord, named } from '../support/group.js';
import {
  alike,
  GROUP_EDITS,
  groupStates,
  recorded,
  type GroupEdit,
  type GroupState,
  type Recording,
} from '../support/group-cuts.js';
import { mediumAfter } from '../support/crash-states.js';
import { randomFrom } from '../support/model-random.js';
import type { Change, Recorded } from '../support/recording-device.js';
import { oneIn } from '../support/left-out.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4711);
const OPTIONS = {
  seed: SEED,
  subsetLimit: Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6),
  samples: Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 8),
  most: Number(process.env['QSNAP_CRASH_GROUP'] ?? 40),
};

const GROUPS = [
  ['cluster-512', 'extra-data-v2'],
  ['compressed-spanning', 'refcount-64'],
  ['l1-larger-than-needed', 'resized-smaller', 'vm-state-v2'],
];
const PAIR = ['cluster-512', 'l1-larger-than-needed'];

const total = { apart: 0, edits: 0, states: 0, mixed: 0, resumed: 0, faults: 0, short: 0 };

/** What an image holds before an edit and after it, with the judgement of every state that was seen. */
class Sides {
  readonly before: Contents;
  readonly after: Contents;
  readonly #leaks: ReadonlyMap<number, number>;
  readonly #known = new Map<string, string>();

  constructor(bytes: Uint8Array, { model }: GroupEdit) {
    this.before = contentsOf(bytes);
    this.after = model(this.before);
    // Else nobody could tell which side an image is on.
    if (sameContents(this.before, this.after)) throw new Error('the edit changes nothing');
    this.#leaks = checkPlain(bytes).leaks;
  }

  /** `old`, `new`, or what is wrong. */
  judge(bytes: Uint8Array): string {
    const key = createHash('sha1').update(bytes).digest('hex');
    const known = this.#known.get(key) ?? this.#judged(bytes);
    this.#known.set(key, known);
    return known;
  }

  #judged(bytes: Uint8Array): string {
    const found = shortcomings(bytes, {
      contents: [this.before, this.after],
      leaks: this.#leaks,
    });
    if (found.length > 0) return found.join('; ');
    return sameContents(contentsOf(bytes), this.after) ? 'new' : 'old';
  }
}

/** Resumes what was cut; what falls short then. */
async function resumed(
  { images, record }: GroupState,
  sides: readonly Sides[],
  { resuming }: GroupEdit,
): Promise<string[]> {
  const devices = images.map((bytes, i) => named(memoryDevice(bytes), `image ${i}`));
  const store = new MemoryRecord(record);
  const done = await groupOf(devices, store).resume(resuming);
  total.resumed += 1;
  const found = devices.map((device, i) => sides[i]!.judge(device.snapshotBytes()));
  const short = found.filter((state) => state !== 'new').map((state) => `resumed: ${state}`);
  if (store.bytes !== undefined) short.push('resumed: the record is still there');
  if (done === undefined) short.push('resumed: nothing was done');
  return short;
}

async function judgeAll(
  recording: Recording,
  images: readonly Uint8Array[],
  sides: readonly Sides[],
  edit: GroupEdit,
): Promise<readonly string[]> {
  const short: string[] = [];
  for (const state of groupStates(recording, images, randomFrom(SEED), OPTIONS)) {
    total.states += 1;
    const found = state.images.map((bytes, i) => sides[i]!.judge(bytes));
    const wrong = found.filter((one) => one !== 'old' && one !== 'new');
    const isMixed = new Set(found).size > 1;
    total.mixed += isMixed ? 1 : 0;
    if (isMixed && state.record === undefined) wrong.push('mixed without a record');
    if (wrong.length === 0 && state.record !== undefined) {
      wrong.push(...(await resumed(state, sides, edit)));
    }
    if (wrong.length > 0) short.push(`${state.description}: ${wrong.join('; ')}`);
  }
  const told = short.slice(0, 5);
  total.short += told.length;
  return told;
}

/** Judges the images after a group edit that failed by what the error says of each. A medium that is gone can't be cut. */
function judgeFailure(
  { devices, record, error }: Recording,
  images: readonly Uint8Array[],
  sides: readonly Sides[],
  { isGone = false } = {},
): readonly string[] {
  if (!isQsnapError(error)) return [`no error: ${String(error)}`];
  const { imageState = 'unchanged', imageStates } = error.details;
  const short = devices.flatMap((device, i) => {
    const says: ImageState = imageStates?.[device.label] ?? imageState;
    const bytes = device.snapshotBytes();
    const found = sides[i]!.judge(bytes);
    const isRight =
      says === 'unchanged'
        ? Buffer.compare(bytes, images[i]!) === 0
        : (says === 'old-or-new' && (found === 'old' || found === 'new')) ||
          (says === found && (says === 'new' || isGone || bytes.length === images[i]!.length));
    return isRight ? [] : [`${device.label} should be ${says}, and is ${found}`];
  });
  const found = devices.map((device, i) => sides[i]!.judge(device.snapshotBytes()));
  if (new Set(found).size > 1 && record.bytes === undefined) short.push('mixed without a record');
  if (imageStates !== undefined && record.bytes === undefined) short.push('states, and no record');
  return short;
}

/** Fails each call of an image in turn, from then on or that one alone. */
async function failEach(
  images: readonly Uint8Array[],
  edit: GroupEdit,
  way: 'once' | 'partly' | 'for good',
): Promise<readonly string[]> {
  const sides = images.map((bytes) => new Sides(bytes, edit));
  const whole = await recorded(images, edit.make);
  const short: string[] = [];
  for (const [i, { calls }] of whole.devices.entries()) {
    for (let n = 1; n <= calls; n += 1) {
      const failed = await recorded(images, edit.make, {
        prepare: (devices) => {
          const device = devices[i]!;
          device.failAt(n, way === 'partly' ? 'partly' : undefined);
          if (way === 'for good') deadFrom(device, n);
        },
      });
      const state = {
        images: failed.devices.map((device) => device.snapshotBytes()),
        record: failed.record.bytes,
        description: '',
      };
      const found = [...judgeFailure(failed, images, sides, { isGone: way === 'for good' })];
      total.apart += isApart(failed) ? 1 : 0;
      if (state.record !== undefined) found.push(...(await resumed(state, sides, edit)));
      total.faults += 1;
      short.push(...found.map((text) => `image ${i}, call ${n} fails ${way}: ${text}`));
    }
  }
  total.short += short.length;
  return short.slice(0, 5);
}

const isApart = ({ error }: Recording): boolean =>
  isQsnapError(error) && error.details.imageStates !== undefined;

/** Every call from the n-th on fails: a medium that is gone. */
function deadFrom(device: Recording['devices'][number], n: number): void {
  let calls = 0;
  for (const name of ['readBatch', 'writeBatch', 'flush', 'truncate', 'punchBatch'] as const) {
    const call = device[name].bind(device) as (...args: unknown[]) => Promise<never>;
    device[name] = (...args: unknown[]) => {
      calls += 1;
      if (calls > n) device.failAt(1);
      return call(...args);
    };
  }
}

describe('an I/O error at the n-th call of an image of a group', () => {
  test.each(
    GROUP_EDITS.flatMap((edit) => {
      return (['once', 'partly', 'for good'] as const).map((way) => ({ edit, way }));
    }),
  )('$edit.name, $way', async ({ edit, way }) => {
    const images = await Promise.all(PAIR.map(alike));
    expect(await failEach(images, edit, way)).toEqual([]);
  });
});

describe('a record that can not be written or removed', () => {
  const fails = (wanted: string) => (what: string) => {
    if (what === wanted) throw new QsnapError('WRITE_FAILED', `no ${wanted}`, { file: 'record' });
  };

  test.each(GROUP_EDITS)('$name: no record, no switch', async (edit) => {
    const images = await Promise.all(PAIR.map(alike));
    const sides = images.map((bytes) => new Sides(bytes, edit));
    const prepare = (_: unknown, record: MemoryRecord): void => {
      record.onChange = fails('write');
    };
    const failed = await recorded(images, edit.make, { prepare });
    expect(failed.error).toMatchObject({ details: { file: 'record', imageState: 'old' } });
    expect(judgeFailure(failed, images, sides)).toEqual([]);
    expect(failed.record.bytes).toBeUndefined();
  });

  test.each(GROUP_EDITS)('$name: all are new, and resuming removes it', async (edit) => {
    const images = await Promise.all(PAIR.map(alike));
    const sides = images.map((bytes) => new Sides(bytes, edit));
    const prepare = (_: unknown, record: MemoryRecord): void => {
      record.onChange = fails('remove');
    };
    const failed = await recorded(images, edit.make, { prepare });
    expect(failed.error).toMatchObject({
      details: { imageState: 'new', hintCode: 'resume-group' },
    });
    expect(judgeFailure(failed, images, sides)).toEqual([]);
    expect(failed.record.bytes).toBeDefined();
    const after = failed.devices.map((device) => device.snapshotBytes());
    const state = { images: after, record: failed.record.bytes, description: '' };
    expect(await resumed(state, sides, edit)).toEqual([]);
  });
});

describe('a power cut while switches are made undone', () => {
  test.each(GROUP_EDITS)(`$name (seed ${SEED})`, async (edit) => {
    const images = await Promise.all(PAIR.map(alike));
    const sides = images.map((bytes) => new Sides(bytes, edit));
    const whole = await recorded(images, edit.make);
    // The last call of the last image but the one for holes: the flush of its switch.
    const { calls } = whole.devices[1]!;
    const recording = await recorded(images, edit.make, {
      prepare: (devices) => {
        devices[1]!.failAt(calls - 1);
      },
    });
    const switches = recording.devices.map(({ log }) => {
      return log.filter((entry) => entry.kind === 'write' && entry.at === 24).length;
    });
    // The first is what is found, written again; the last takes the switch back.
    expect(switches).toEqual([3, 3]);
    expect(recording.error).toMatchObject({ details: { imageState: 'old' } });
    expect(recording.record.bytes).toBeUndefined();
    expect(judgeFailure(recording, images, sides)).toEqual([]);
    expect(await judgeAll(recording, images, sides, edit)).toEqual([]);
  });
});

describe.each(GROUPS)('a power cut in a group edit of %s and %s', (...fixtures) => {
  const names = fixtures.filter((name) => typeof name === 'string');
  const row = GROUPS.findIndex(([first]) => first === fixtures[0]);

  test.each(oneIn(3, GROUP_EDITS, row))(`$name (seed ${SEED})`, async (edit) => {
    const images = await Promise.all(names.map(alike));
    const sides = images.map((bytes) => new Sides(bytes, edit));
    const recording = await recorded(images, edit.make);
    expect(recording.error).toBeUndefined();
    expect(recording.record.bytes).toBeUndefined();
    const done = recording.devices.map((device, i) => sides[i]!.judge(device.snapshotBytes()));
    expect(done).toEqual(names.map(() => 'new'));
    expect(await judgeAll(recording, images, sides, edit), `seed ${SEED}`).toEqual([]);
    total.edits += 1;
  });
});

describe('a power cut while an edit is resumed', () => {
  test.each(GROUP_EDITS)(`$name (seed ${SEED})`, async (edit) => {
    const images = await Promise.all([...PAIR, 'extra-data-v2'].map(alike));
    const sides = images.map((bytes) => new Sides(bytes, edit));
    const whole = await recorded(images, edit.make);
    const states = [...groupStates(whole, images, randomFrom(SEED), OPTIONS)];
    const mixed = states.find((state) => {
      const found = state.images.map((bytes, i) => sides[i]!.judge(bytes));
      return found.join(' ') === 'new old old';
    });
    const make: GroupEdit['make'] = (group) => group.resume(edit.resuming);
    const recording = await recorded(mixed!.images, make, { record: mixed!.record });
    expect(recording.error).toBeUndefined();
    expect(await judgeAll(recording, mixed!.images, sides, edit)).toEqual([]);
  });
});

const isChange = (entry: Recorded): entry is Change =>
  entry.kind === 'write' || entry.kind === 'truncate' || entry.kind === 'punch';

/**
 * A program that is killed leaves what it sent to the system, which shows it to the next one whether the medium has it
 * or not. So an image may look new and be old after a power cut.
 */
describe('a kill before a flush, a resume, and a power cut', () => {
  test.each(GROUP_EDITS)(`$name (seed ${SEED})`, async (edit) => {
    const images = await Promise.all(PAIR.map(alike));
    const sides = images.map((bytes) => new Sides(bytes, edit));
    const whole = await recorded(images, edit.make);
    const kills = whole.moments.filter(({ records }) => records.every((one) => one !== undefined));
    let isShownTooSoon = false;
    for (const { sent, records } of kills) {
      const before = whole.devices.map(({ log }, i) => log.slice(0, sent[i]));
      const shown = before.map((log, i) => mediumAfter(images[i]!, log.filter(isChange)));
      isShownTooSoon ||= shown.every((bytes, i) => sides[i]!.judge(bytes) === 'new');
      const make: GroupEdit['make'] = (group) => group.resume(edit.resuming);
      const again = await recorded(shown, make, { record: records[0] });
      expect(again.error).toBeUndefined();
      expect(again.record.bytes).toBeUndefined();
      const devices = again.devices.map((device, i) => {
        return { ...device, log: [...before[i]!, ...device.log] };
      });
      const moments = again.moments.map((moment) => {
        return { ...moment, sent: moment.sent.map((count, i) => before[i]!.length + count) };
      });
      expect(await judgeAll({ ...again, devices, moments }, images, sides, edit)).toEqual([]);
    }
    expect(isShownTooSoon).toBe(true);
  });
});

test('without a record the states are seen to be mixed', async () => {
  const edit = GROUP_EDITS[0]!;
  const images = await Promise.all(PAIR.map(alike));
  const sides = images.map((bytes) => new Sides(bytes, edit));
  const recording = await recorded(images, edit.make);
  const moments = recording.moments.map((one) => ({ ...one, records: [undefined] }));
  const short = await judgeAll({ ...recording, moments }, images, sides, edit);
  expect(short.join('\n')).toContain('mixed without a record');
  total.short -= short.length;
});

afterAll(() => {
  console.log(
    `seed ${SEED}: ${total.edits} group edits, ${total.states} states of all images, ` +
      `${total.mixed} of them mixed, ${total.resumed} resumed, ${total.faults} calls that failed, ` +
      `${total.apart} left images apart; ` +
      `${total.short} fell short`,
  );
});
