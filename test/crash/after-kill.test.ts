import { afterAll, describe, expect, test } from 'vitest';
import { openImage } from '../../src/image/open.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { editNamed, editsFor, shortcomings, type Edit } from '../support/crash-judge-edits.js';
import { loadFixture } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { crashStates, recordingDevice, type Recorded } from '../support/recording-device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4717);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 16);

const FIXTURES = ['cluster-512', 'zeros-v2', 'names-odd', 'dates-extreme', 'refcount-64', 'aes'];
const FIRST = ['delete the first', 'apply the first', 'delete all but the first'];
const SECOND = ['create', 'delete the first', 'rename the last'];

const total = { edits: 0, states: 0 };

async function logOf(bytes: Uint8Array, edit: Edit) {
  const device = recordingDevice(bytes);
  await executePlan(await edit.plan(await openImage(device)));
  return { log: device.log.filter(({ kind }) => kind !== 'read'), bytes: device.snapshotBytes() };
}

const isSwitch = (entry: Recorded): boolean => entry.kind === 'write' && entry.at === 24;

/** What an edit sent up to its switch, when it was killed before it flushed that; and what the system shows then. */
async function killedAfterSwitch(bytes: Uint8Array, edit: Edit) {
  const { log } = await logOf(bytes, edit);
  const sent = log.slice(0, log.findLastIndex(isSwitch) + 1);
  const device = recordingDevice(bytes);
  for (const entry of sent) if (entry.kind === 'write') await device.writeBatch([entry]);
  return { sent, shown: device.snapshotBytes() };
}

interface Case {
  readonly fixture: string;
  readonly first: string;
  readonly second: string;
}

/** An edit after one that was killed, and a power cut: the states that fall short. */
async function cutSecond(
  { fixture, first, second }: Case,
  alter: (sent: readonly Recorded[], log: readonly Recorded[]) => readonly Recorded[],
): Promise<readonly string[]> {
  const bytes = loadFixture(fixture);
  const [one, two] = [editNamed(first), editNamed(second)];
  const { sent, shown } = await killedAfterSwitch(bytes, one);
  const { log } = await logOf(shown, two);
  const old = contentsOf(bytes);
  const contents = [old, one.model(old), two.model(one.model(old))];
  const { leaks } = checkPlain(bytes);
  const options = { seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES };
  const short: string[] = [];
  for (const state of crashStates(alter(sent, log), bytes, options)) {
    total.states += 1;
    const found = shortcomings(state.bytes, { contents, leaks });
    if (found.length > 0) short.push(`${state.description}: ${found.join('; ')}`);
  }
  total.edits += 1;
  return short;
}

/** The pairs of edits that an image has snapshots enough for. */
function casesFor(fixture: string): readonly Case[] {
  const file = loadFixture(fixture);
  return editsFor(file).flatMap((one) => {
    if (!FIRST.includes(one.name)) return [];
    const left = one.model(contentsOf(file)).snapshots.length;
    const seconds = SECOND.filter((name) => editNamed(name).needs <= left);
    return seconds.map((second) => ({ fixture, first: one.name, second }));
  });
}

const CASES = FIXTURES.flatMap(casesFor);

describe('an edit after one that was killed before the flush of its switch, and a power cut', () => {
  test.each(oneIn(2, CASES, 0))('$fixture: $first, killed; $second', async (one) => {
    const short = await cutSecond(one, (sent, log) => [...sent, ...log]);
    expect(short.slice(0, 3), `seed ${SEED}`).toEqual([]);
  });

  test.each(oneIn(2, CASES, 1))(
    '$fixture: $first, its flush failed and lost it; $second',
    async (one) => {
      const short = await cutSecond(one, (sent, log) => [...sent.slice(0, -1), ...log]);
      expect(short.slice(0, 3), `seed ${SEED}`).toEqual([]);
    },
  );

  describe('an edit that does not make durable what it finds is seen', () => {
    const one = { fixture: 'dates-extreme', first: 'delete all but the first', second: 'create' };
    test('that flushes nothing', async () => {
      const short = await cutSecond(one, (sent, [, , ...log]) => [...sent, ...log]);
      expect(short.length).toBeGreaterThan(0);
    });

    test('that does not write it again', async () => {
      const short = await cutSecond(one, (sent, [, ...log]) => [...sent.slice(0, -1), ...log]);
      expect(short.length).toBeGreaterThan(0);
    });
  });

  afterAll(() => {
    console.log(`seed ${SEED}: ${total.states} states of ${total.edits} edits after a kill judged`);
  });
});
