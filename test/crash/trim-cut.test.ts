import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice, type MemoryDevice } from '../../src/io/memory.js';
import { planDelete } from '../../src/edit/snapshot/delete.js';
import { executeTrim } from '../../src/edit/trim/execute-trim.js';
import { planRelocation } from '../../src/edit/trim/plan-relocation.js';
import { planTrim } from '../../src/edit/trim/plan-trim.js';
import { trimImage } from '../../src/edit/trim/trim-image.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { EditPlan, ShadowWrite } from '../../src/edit/tx/plan.js';
import type { BlockSource } from '../../src/io/device.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { cutEverywhere } from '../support/crash-judge-cuts.js';
import { shortcomings, type Edit } from '../support/crash-judge-edits.js';
import { judgeByQemu, type SampledState } from '../support/crash-judge-qemu.js';
import { loadFixture } from '../support/fixture.js';
import { seededRandom } from '../support/mutate.js';
import { oneIn } from '../support/left-out.js';
import { describeWithQemu } from '../support/qemu.js';
import { crashStates, recordingDevice } from '../support/recording-device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4713);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 10);
const QEMU_STATES = Number(process.env['QSNAP_CRASH_QEMU'] ?? 20);

/** How many steps of each trim are cut. */
const STEPS = 2;

const FIXTURES = [
  ...['cluster-512', 'refcount-2', 'refcount-8', 'refcount-64', 'refcount-many-blocks'],
  ...['extended-l2-16k', 'everything', 'compressed-v2', 'compressed-spanning', 'zeros', 'zeros-v2'],
  ...['backing-chain', 'resized-smaller', 'l1-larger-than-needed', 'vm-state-5gib', 'aes'],
  ...['vm-state-extended-l2', 'preallocated-metadata', 'bitmaps-in-use', 'refcount-leaks'],
];

const random = seededRandom(SEED);
const forQemu: SampledState[] = [];
const total = { steps: 0, moving: 0, trims: 0, states: 0, short: 0, faults: 0 };

/** The fixture without its first snapshot: that makes free clusters. */
async function deviceOf(fixture: string): Promise<MemoryDevice> {
  const device = memoryDevice(loadFixture(fixture));
  const image = await openImage(device);
  await executePlan(await planDelete(image, image.snapshots.slice(0, 1)));
  return device;
}

/** A step as an edit that has to be there. */
function relocation(stepBytes: number): Edit {
  return {
    name: `relocate ${stepBytes}`,
    needs: 0,
    plan: async <Source extends BlockSource>(image: Parameters<typeof planRelocation<Source>>[0]) =>
      (await planRelocation(image, stepBytes))!,
    model: (before) => before,
  };
}

async function cutSteps(fixture: string, stepBytes: number): Promise<void> {
  const device = await deviceOf(fixture);
  await executeTrim(await planTrim(await openImage(device)));
  for (let step = 0; step < STEPS; step++) {
    const bytes = device.snapshotBytes();
    const plan = await planRelocation(await openImage(device), stepBytes);
    if (plan === undefined) return;
    let seen = 0;
    let chosen: Uint8Array | undefined;
    const { states, short } = await cutEverywhere(bytes, relocation(stepBytes), {
      ...{ seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES },
      visit: (state) => {
        seen += 1;
        if (random(seen) === 0) chosen = state;
      },
    });
    total.steps += 1;
    total.moving += plan.movedBytes > 0 ? 1 : 0;
    total.states += states;
    total.short += short.length;
    expect(short.slice(0, 5), `seed ${SEED}, ${fixture}, step ${step}`).toEqual([]);
    if (chosen !== undefined && fixture !== 'aes') {
      forQemu.push({ fixture, edit: 'relocate', bytes: chosen });
    }
    await executePlan(plan);
  }
}

describe('a power cut while clusters move leaves every disk as it was', () => {
  test.each(oneIn(2, FIXTURES, 0))('%s', async (fixture) => {
    await cutSteps(fixture, 20_000);
    await cutSteps(fixture, 2 ** 30);
  });

  describeWithQemu('and QEMU agrees', () => {
    test('a sample is sound, and a guest writes on', async () => {
      const { states } = await judgeByQemu(forQemu, QEMU_STATES, random);
      expect(states).toBeGreaterThan(0);
    });
  });
});

describe('a power cut while free clusters go back leaves the image as it was', () => {
  test.each(oneIn(2, FIXTURES, 1))('%s', async (fixture) => {
    const before = (await deviceOf(fixture)).snapshotBytes();
    const { leaks } = checkPlain(before);
    const device = recordingDevice(before);
    await executeTrim(await planTrim(await openImage(device)));
    total.trims += 1;
    const contents = [contentsOf(before)];
    const options = { seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES };
    for (const { bytes, description } of crashStates(device.log, before, options)) {
      total.states += 1;
      expect(shortcomings(bytes, { contents, leaks }), description).toEqual([]);
    }
  });
});

describe('calls that fail', () => {
  test.each(['compressed-spanning', 'zeros', 'vm-state-extended-l2'])('%s', async (fixture) => {
    const before = (await deviceOf(fixture)).snapshotBytes();
    const { leaks } = checkPlain(before);
    const contents = [contentsOf(before)];
    for (let call = 1; ; call++) {
      const device = recordingDevice(before);
      device.failAt(call, call % 2 === 0 ? 'partly' : undefined);
      const trim = trimImage(device, { relocate: true, stepBytes: 30_000 });
      const error: unknown = await trim.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(shortcomings(device.snapshotBytes(), { contents, leaks }), `call ${call}`).toEqual([]);
      if (error === undefined) break;
      expect(error).toSatisfy(isQsnapError);
      total.faults += 1;
    }
  });
});

describe('steps that are wrong in one thing are seen', () => {
  const without =
    (what: string) =>
    (plan: EditPlan): EditPlan => ({
      ...plan,
      shadow: plan.shadow.filter((write) => write.what !== what),
    });
  const mutants: Readonly<Record<string, (plan: EditPlan) => EditPlan>> = {
    'data is not copied': without('guest data'),
    'tables lead to the old places': (plan) => ({
      ...plan,
      shadow: plan.shadow.map((write): ShadowWrite => {
        if (write.kind !== 'tables' || write.content.kind !== 'flags') return write;
        return { ...write, content: { ...write.content, moved: undefined } };
      }),
    }),
    'the old places are taken for free beforehand': (plan) => ({
      ...plan,
      shadow: plan.shadow.map((write): ShadowWrite => {
        if (write.kind !== 'tables' || write.what !== 'guest data') return write;
        return { ...write, targets: write.sources!, sources: write.targets };
      }),
      freed: [],
      punch: [],
    }),
  };
  test.each(Object.entries(mutants))('%s', async (_, alterPlan) => {
    const device = await deviceOf('zeros');
    const { short } = await cutEverywhere(device.snapshotBytes(), relocation(2 ** 30), {
      ...{ seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES, eitherSide: true },
      alterPlan,
    });
    expect(short.length).toBeGreaterThan(0);
  });
});

afterAll(() => {
  console.log(`seed ${SEED}: ${JSON.stringify(total)}`);
});
