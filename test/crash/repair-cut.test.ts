/**
 * Repairs and undoings that a power cut stops: every state is the damaged image, with the same
 * flaws and the same content, or the mended one. QSNAP_SEED repeats a run.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { memoryDevice } from '../../src/io/memory.js';
import { newSha256 } from '../../src/node/sha256.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { executeUndo } from '../../src/edit/tx/undo.js';
import { repairCase, shortcomingOf, type RepairCase } from '../support/crash-judge-repair.js';
import { HARMLESS_DAMAGE, OVERLAPS, patientOf, UNREADABLE_DAMAGE } from '../support/damage.js';
import { loadFixture } from '../support/fixture.js';
import { seededRandom } from '../support/mutate.js';
import { crashStates, recordingDevice, sinceDurable } from '../support/recording-device.js';
import { leaveOut, oneIn } from '../support/left-out.js';
import { madeOn } from '../support/plans.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4713);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 4);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 4);

const IS_LONG = process.env['QSNAP_CRASH_SUBSETS'] !== undefined;

const FIXTURES = [
  ...['cluster-512', 'refcount-1', 'refcount-2', 'refcount-64', 'extended-l2-16k', 'everything'],
  ...['compressed-spanning', 'backing-v2', 'zeros-v2', 'bitmaps-snapshots', 'extra-data-v2'],
];
const KINDS = { ...HARMLESS_DAMAGE, ...UNREADABLE_DAMAGE, ...OVERLAPS };

/** Whether the file can get longer: else new copies go into clusters that are free. */
const MEDIA = [
  { medium: 'a file', growable: true },
  { medium: 'a medium of fixed size', growable: false },
] as const;

const options = { seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES };
const total = { repairs: 0, refused: 0, repairStates: 0, undoStates: 0, undoneAgain: 0 };

/** At which flushes the header may change. */
const dueAt = (barrier: number, switchAt: number): 'before' | 'after' | 'either' =>
  barrier === switchAt ? 'either' : barrier < switchAt ? 'before' : 'after';

async function cutRepair(one: RepairCase): Promise<string[]> {
  const device = recordingDevice(one.damaged, { growable: one.growable });
  await executePlan(madeOn(device, one.plan));
  const short: string[] = [];
  for (const state of crashStates(sinceDurable(device.log, one.damaged), one.damaged, options)) {
    total.repairStates += 1;
    const found = shortcomingOf(state.bytes, one, dueAt(state.barrier, 1));
    if (found !== undefined) short.push(`repair, ${state.description}: ${found}`);
    else short.push(...(await undoAnyhow(state.bytes, one, state.description)));
  }
  return short;
}

/** Whatever a cut left of the repair, undoing it gives the damaged image back. */
async function undoAnyhow(bytes: Uint8Array, one: RepairCase, what: string): Promise<string[]> {
  const device = memoryDevice(bytes, 'cut', { growable: one.growable });
  await executeUndo(device, memoryDevice(one.undoFile), newSha256);
  total.undoneAgain += 1;
  const found = shortcomingOf(device.snapshotBytes(), one, 'before');
  return found === undefined ? [] : [`undone after ${what}: ${found}`];
}

async function cutUndo(one: RepairCase): Promise<string[]> {
  const device = recordingDevice(one.repaired, { growable: one.growable });
  const file = memoryDevice(one.undoFile);
  await executeUndo(device, file, newSha256);
  expect(Buffer.compare(device.snapshotBytes(), one.damaged), 'undone').toBe(0);
  const short: string[] = [];
  const log = sinceDurable(device.log, one.repaired);
  // The header is written again before its switch; the second flush ends a shadow without writes.
  for (const state of crashStates(log, one.repaired, options)) {
    total.undoStates += 1;
    const { barrier } = state;
    const may = barrier < 2 ? 'after' : barrier === 2 ? 'either' : 'before';
    const found = shortcomingOf(state.bytes, one, may);
    if (found !== undefined) short.push(`undo, ${state.description}: ${found}`);
    const again = memoryDevice(state.bytes, 'cut', { growable: one.growable });
    await executeUndo(again, file, newSha256);
    total.undoneAgain += 1;
    const left = shortcomingOf(again.snapshotBytes(), one, 'before');
    if (left !== undefined) short.push(`undone again, ${state.description}: ${left}`);
    const isWhole = Buffer.compare(again.snapshotBytes(), one.damaged) === 0;
    if (one.growable && !isWhole) short.push(`undone again, ${state.description}: not every byte`);
  }
  return short;
}

describe.each(MEDIA)('a power cut on $medium', ({ growable }) => {
  describe.each(FIXTURES)('%s', (fixture) => {
    const bytes = loadFixture(fixture);
    // Version 2 has no zero flag: without an entry the backing file would show through.
    const kinds = Object.entries(fixture === 'backing-v2' ? HARMLESS_DAMAGE : KINDS);
    // A plain run tries each kind on some of the images, on each medium on others.
    const row = FIXTURES.indexOf(fixture) * 2 + Number(growable);
    const tried = IS_LONG ? kinds : oneIn(6, kinds, row);
    test.each(tried)('%s', async (_, damage) => {
      const patient = patientOf(bytes);
      const done = damage(patient, seededRandom(SEED));
      if (done === undefined) {
        leaveOut('kinds of damage that an image has no place for');
        return;
      }
      const one = await repairCase(patient.bytes, growable);
      total[one === undefined ? 'refused' : 'repairs'] += 1;
      if (one === undefined) return;
      const what = `seed ${SEED}: ${done}`;
      expect([...one.after.corruptions], what).toEqual([]);
      expect((await cutRepair(one)).slice(0, 3), what).toEqual([]);
      expect((await cutUndo(one)).slice(0, 3), what).toEqual([]);
    });
  });
});

afterAll(() => {
  console.log(
    `seed ${SEED}: ${total.repairs} repairs, ${total.refused} refused; ${total.repairStates} crash ` +
      `states of repairs, ${total.undoStates} of undoings; undone on ${total.undoneAgain} of them`,
  );
});
