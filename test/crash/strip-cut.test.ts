import { afterAll, describe, expect, test } from 'vitest';
import type { OpenImage } from '../../src/image/image.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { planStrip } from '../../src/edit/strip/plan-strip.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { contentsOf } from '../support/crash-judge.js';
import { cutEverywhere } from '../support/crash-judge-cuts.js';
import { loadFixture } from '../support/fixture.js';
import { withLeftOver, withTold } from '../support/left-over-vm-state.js';
import type { BlockSource } from '../../src/io/device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4713);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 10);

const FIXTURES = ['vm-state', 'vm-state-v2', 'vm-state-extended-l2'] as const;
const total = { edits: 0, states: 0 };

const strip = <Source extends BlockSource>(image: OpenImage<Source>) => planStrip(image);
const stripWhole = <Source extends BlockSource>(image: OpenImage<Source>) =>
  planStrip(image, { snapshots: image.snapshots, whole: true });

describe.each(FIXTURES)('%s: a power cut leaves the VM state in or out', (fixture) => {
  const bytes = loadFixture(fixture);
  test.each([
    ['what lies behind a VM state', withLeftOver(bytes, 0, 2), strip],
    ['what no entry tells of', withTold(bytes, 0, 0), strip],
    ['all', withLeftOver(bytes, 0, 1), stripWhole],
  ])('%s', async (name, before, plan) => {
    const device = memoryDevice(before.slice());
    await executePlan(await plan(await openImage(device)));
    const after = contentsOf(device.snapshotBytes());
    const [old, made] = [contentsOf(before), after].map(({ active, snapshots }) => {
      return [active, ...snapshots].map(({ disk }) => disk);
    });
    expect(made).toEqual(old);
    const edit = { name, needs: 0, plan, model: () => after };
    const options = { seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES };
    const { states, short } = await cutEverywhere(before, edit, options);
    total.edits += 1;
    total.states += states;
    expect(short.slice(0, 5), `seed ${SEED}, ${fixture}, ${name}`).toEqual([]);
  });
});

afterAll(() => {
  console.log(`seed ${SEED}: ${total.states} crash states of ${total.edits} strips judged`);
  expect(total.states).toBeGreaterThan(100);
});
