import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { proposeRepair } from '../../src/edit/repair/propose.js';
import { executeStages } from '../../src/edit/tx/execute-stages.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { sameContents } from '../support/crash-judge-edits.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import {
  cutStages,
  deletesFor,
  isMissingFlag,
  modelOf,
  planOf,
  withoutRoom,
  type StagedDelete,
} from '../support/crash-judge-stages.js';
import { temporaryDirectory } from '../support/directories.js';
import { copyCompanions, loadFixture } from '../support/fixture.js';
import { seededRandom } from '../support/mutate.js';
import { recordingDevice } from '../support/recording-device.js';
import { check, describeWithQemu, qemuIo } from '../support/qemu.js';
import { madeOn } from '../support/plans.js';
import { oneIn } from '../support/left-out.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4711);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 16);
const QEMU_STATES = Number(process.env['QSNAP_CRASH_QEMU'] ?? 60);

const FIXTURES = [
  ...['cluster-512', 'refcount-2', 'refcount-8', 'refcount-64', 'refcount-many-blocks'],
  ...['extended-l2-16k', 'everything', 'compressed-v2', 'compressed-spanning', 'backing-chain'],
  ...['bitmaps-snapshots', 'resized-larger', 'resized-smaller', 'zeros-v2', 'extra-data-v2'],
  ...['vm-state-v2', 'empty-disk-snapshot', 'names-long', 'five-snapshots'],
  ...['lazy-refcounts', 'applied-and-deleted', 'ids-with-gaps', 'refcount-leaks'],
];

const random = seededRandom(SEED);
const forQemu: { fixture: string; bytes: Uint8Array; mayLackFlags: boolean }[] = [];
const total = { deletes: 0, lackFlags: 0, refused: 0, states: 0, flagsMissing: 0, mended: 0 };

/** Whether there is room for the shorter list, which is all that is asked of a medium. */
async function hasRoom(bytes: Uint8Array, one: StagedDelete): Promise<boolean> {
  try {
    await planOf(await openImage(memoryDevice(bytes, 'fixed', { growable: false })), one);
    return true;
  } catch (error) {
    if (!isQsnapError(error) || error.code !== 'NO_SPACE') throw error;
    expect(error.details.bytesNeeded).toBeGreaterThan(0);
    total.refused += 1;
    return false;
  }
}

/** A repair takes away what a cut left. */
async function mend(state: Uint8Array): Promise<void> {
  const device = memoryDevice(state);
  const { plan, after } = await proposeRepair(device, () => ({
    classes: ['all', 'leaks', 'perhaps-lost'],
  }));
  if (plan !== undefined) await executePlan(madeOn(device, plan));
  expect(after.exitCode).toBe(0);
  expect(sameContents(contentsOf(device.snapshotBytes()), contentsOf(state))).toBe(true);
  expect(checkPlain(device.snapshotBytes())).toEqual({ corruptions: [], leaks: new Map() });
  total.mended += 1;
}

describe('a power cut while snapshots are deleted in place leaves leaks and nothing worse', () => {
  describe.each(FIXTURES)('%s', (fixture) => {
    const file = loadFixture(fixture);
    const cases = deletesFor(file).flatMap((one) => {
      return [0, 1, 3, 1000].map((free) => ({ one, free, name: `${one.name}, ${free} free` }));
    });

    test.each(oneIn(6, cases, FIXTURES.indexOf(fixture)))('$name', async ({ one, free }) => {
      const bytes = withoutRoom(file, free);
      if (!(await hasRoom(bytes, one))) return;
      let chosen: Uint8Array | undefined;
      let seen = 0;
      const { mayLackFlags, states, flagsMissing, short } = await cutStages(bytes, one, {
        seed: SEED,
        subsetLimit: SUBSETS,
        samples: SAMPLES,
        visit: async (state, isNew) => {
          seen += 1;
          if (random(seen) === 0) chosen = state;
          if (isNew && random(60) === 0) await mend(state);
        },
      });
      expect(short.slice(0, 5), `seed ${SEED}`).toEqual([]);
      if (!mayLackFlags) expect(flagsMissing).toBe(0);
      total.deletes += 1;
      if (mayLackFlags) total.lackFlags += 1;
      total.states += states;
      total.flagsMissing += flagsMissing;
      if (chosen !== undefined) forQemu.push({ fixture, bytes: chosen, mayLackFlags });
    });
  });

  afterAll(() => {
    console.log(
      `seed ${SEED}: ${total.states} crash states of ${total.deletes} deletes in place judged, ` +
        `${total.lackFlags} of them setting flags where they lie; flags were missing in ` +
        `${total.flagsMissing} states; ${total.mended} states mended; ${total.refused} refused`,
    );
  });
});

describe('an I/O error at the n-th call of a delete in place', () => {
  const cases = ['cluster-512', 'compressed-v2', 'names-long'].flatMap((fixture) =>
    [0, 3].flatMap((free) =>
      deletesFor(loadFixture(fixture)).map((one) => ({ fixture, free, one })),
    ),
  );

  test.each(oneIn(3, cases))('$fixture, $one.name, $free free', async ({ fixture, free, one }) => {
    const bytes = withoutRoom(loadFixture(fixture), free);
    if (!(await hasRoom(bytes, one))) return;
    const old = contentsOf(bytes);
    const leaksBefore = checkPlain(bytes).leaks.size;
    const now = modelOf(old, one);
    const sides = { old: [old], new: [now], 'old-or-new': [old, now], 'new-list': [now] };
    const whole = recordingDevice(bytes, { growable: false });
    const plan = await planOf(await openImage(whole), one);
    const planning = whole.calls;
    await executeStages(madeOn(whole, plan));
    const found = new Set<string>();
    const hintCodes = new Set<string>();
    for (let n = 1; n <= whole.calls - planning; n++) {
      for (const partly of [undefined, 'partly'] as const) {
        const device = recordingDevice(bytes, { growable: false });
        device.failAt(n, partly);
        const error: unknown = await executeStages(madeOn(device, plan)).catch(
          (one: unknown) => one,
        );
        if (!isQsnapError(error)) throw error;
        const state = error.details.imageState!;
        found.add(state);
        const after = device.snapshotBytes();
        if (state === 'unchanged') {
          expect(Buffer.compare(after, bytes)).toBe(0);
          continue;
        }
        expect(sides[state].some((side) => sameContents(contentsOf(after), side))).toBe(true);
        const { corruptions } = checkPlain(after);
        const isFine = (text: string): boolean => plan.mayLackFlags && isMissingFlag(text);
        expect(corruptions.filter((text) => !isFine(text))).toEqual([]);
        if (checkPlain(after).leaks.size > leaksBefore) {
          expect(['leaks-left', 'finish-refcounts']).toContain(error.details.hintCode);
        }
        if (state === 'new-list') hintCodes.add(error.details.hintCode ?? '');
      }
    }
    expect(hintCodes).toContain('finish-refcounts');
    expect(found).toContain('new-list');
    expect(found).toContain('unchanged');
  });
});

describeWithQemu('QEMU agrees', () => {
  test('on a sample of the states, and writes on without harm', { timeout: 300_000 }, async () => {
    const directory = temporaryDirectory();
    const file = path.join(directory, 'cut.qcow2');
    const samples = [...forQemu];
    while (samples.length > QEMU_STATES) samples.splice(random(samples.length), 1);
    for (const { fixture, bytes, mayLackFlags } of samples) {
      copyCompanions(fixture, directory);
      writeFileSync(file, bytes);
      const { corruptions: mine } = checkPlain(bytes);
      const { report } = await check(file);
      const { corruptions = 0, 'check-errors': errors } = report!;
      expect({ errors, sound: corruptions === 0 }, fixture).toEqual({
        errors: 0,
        sound: mine.length === 0,
      });
      if (!mayLackFlags) expect(corruptions).toBe(0);
      const { header } = await openImage(memoryDevice(bytes));
      const writes = Array.from({ length: 12 }, () =>
        random(Math.ceil(header.diskSizeBytes / 512)),
      ).map((sector) => `write -q -P 0x5a ${sector * 512} 512`);
      if (header.diskSizeBytes > 0) await qemuIo(file, writes);
      const after = readFileSync(file);
      expect(contentsOf(after).snapshots, fixture).toEqual(contentsOf(bytes).snapshots);
      expect(checkPlain(after).corruptions.filter((text) => !isMissingFlag(text))).toEqual([]);
    }
    expect(samples.length).toBeGreaterThan(0);
  });
});
