import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { cutEverywhere } from '../support/crash-judge-cuts.js';
import { editNamed, editsFor, shortcomings, type Edit } from '../support/crash-judge-edits.js';
import { withFullRefcountTable, withFullSnapshotTable } from '../support/crash-judge-growth.js';
import { readPlain } from '../support/crash-judge-image.js';
import { judgeByQemu, type SampledState } from '../support/crash-judge-qemu.js';
import { loadFixture } from '../support/fixture.js';
import { seededRandom } from '../support/mutate.js';
import { describeWithQemu } from '../support/qemu.js';
import { IS_PLAIN, oneIn } from '../support/left-out.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4711);
/** All subsets of up to 12 writes in flight by `QSNAP_CRASH_SUBSETS=12`; 4,096 states each. */
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 12);
const QEMU_STATES = Number(process.env['QSNAP_CRASH_QEMU'] ?? (IS_PLAIN ? 20 : 60));

const FIXTURES = [
  ...['cluster-512', 'refcount-2', 'refcount-4', 'refcount-8', 'refcount-16', 'refcount-32'],
  ...['refcount-64', 'refcount-many-blocks', 'extended-l2-16k', 'everything', 'compressed-v2'],
  ...['compressed-spanning', 'bitmaps-snapshots', 'backing-chain', 'resized-larger'],
  ...['resized-smaller', 'l1-larger-than-needed', 'names-odd', 'refcount-leaks', 'zeros'],
  ...['zeros-v2', 'extra-data-v2', 'vm-state-v2', 'vm-state-extended-l2', 'vm-state-5gib'],
  ...['empty-disk-snapshot', 'names-long', 'compressed-zstd', 'refcount-1'],
  ...['feature-autoclear-unknown', 'lazy-refcounts', 'applied-and-deleted', 'ids-with-gaps'],
];

/** Refusals that are right: the image forbids the edit. */
const RIGHT_REFUSALS = ['REFCOUNT_OVERFLOW', 'BITMAPS_PRESENT'];

const random = seededRandom(SEED);
const forQemu: SampledState[] = [];
const total = { edits: 0, states: 0, short: 0, again: 0, refused: 0 };

async function applies(bytes: Uint8Array, edit: Edit): Promise<boolean> {
  const image = await openImage(memoryDevice(bytes));
  try {
    await edit.plan(image);
    return true;
  } catch (error) {
    if (!isQsnapError(error) || !RIGHT_REFUSALS.includes(error.code)) throw error;
    total.refused += 1;
    return false;
  }
}

/** The edit once more on an image that still is in the old state. */
async function again(bytes: Uint8Array, edit: Edit): Promise<void> {
  const device = memoryDevice(bytes);
  const contents = [edit.model(contentsOf(bytes))];
  const { leaks } = checkPlain(bytes);
  await executePlan(await edit.plan(await openImage(device)));
  expect(shortcomings(device.snapshotBytes(), { contents, leaks })).toEqual([]);
  total.again += 1;
}

async function tryEdit(fixture: string, bytes: Uint8Array, edit: Edit): Promise<void> {
  if (!(await applies(bytes, edit))) return;
  let chosen: Uint8Array | undefined;
  let seen = 0;
  const { states, short } = await cutEverywhere(bytes, edit, {
    seed: SEED,
    subsetLimit: SUBSETS,
    samples: SAMPLES,
    visit: async (state, isNew) => {
      seen += 1;
      if (random(seen) === 0) chosen = state;
      if (!isNew && random(40) === 0) await again(state, edit);
    },
  });
  total.edits += 1;
  total.states += states;
  total.short += short.length;
  if (chosen !== undefined) forQemu.push({ fixture, edit: edit.name, bytes: chosen });
  expect(short.slice(0, 5), `seed ${SEED}, ${fixture}, ${edit.name}`).toEqual([]);
}

/** Names of edits, once for each image that they are tried on. */
const tried: string[] = [];

describe('R3, R4, R5, R13: a power cut at any moment leaves the old state or the new one', () => {
  describe.each(FIXTURES)('%s', (fixture) => {
    const bytes = loadFixture(fixture);
    const edits = oneIn(4, editsFor(bytes), FIXTURES.indexOf(fixture));
    for (const { name } of edits) tried.push(name);
    test.each(edits)('$name', (edit) => tryEdit(fixture, bytes, edit));
  });

  test('each edit is tried on two images at least', () => {
    for (const { name } of FIXTURES.flatMap((fixture) => editsFor(loadFixture(fixture)))) {
      expect(tried.filter((one) => one === name).length, name).toBeGreaterThan(1);
    }
  });

  describe('a refcount table that has to grow', () => {
    const bytes = withFullRefcountTable(loadFixture('refcount-many-blocks'));

    test.each(oneIn(3, editsFor(bytes)))('$name', async (edit) => {
      await tryEdit('refcount-many-blocks', bytes, edit);
      const device = memoryDevice(bytes);
      const image = await openImage(device);
      await executePlan(await edit.plan(image));
      const { header } = await openImage(device);
      expect(header.refcountTable.clusters).toBeGreaterThan(image.header.refcountTable.clusters);
    });
  });

  describe('a snapshot table that grows past its cluster', () => {
    const CLUSTER_BYTES = 4096;
    const clustersOf = ({ snapshotTableBytes }: { readonly snapshotTableBytes: number }): number =>
      Math.ceil(snapshotTableBytes / CLUSTER_BYTES);

    test.each(['create', 'save and apply the last', 'rename the last'])('%s', async (name) => {
      const bytes = await withFullSnapshotTable(loadFixture('cluster-4k'), CLUSTER_BYTES);
      const edit = editNamed(name);
      await tryEdit('cluster-4k', bytes, edit);
      const device = memoryDevice(bytes);
      await executePlan(await edit.plan(await openImage(device)));
      expect([bytes, device.snapshotBytes()].map((one) => clustersOf(readPlain(one)))).toEqual([
        1, 2,
      ]);
    });
  });

  afterAll(() => {
    console.log(
      `seed ${SEED}: ${total.states} crash states of ${total.edits} edits judged, ` +
        `${total.short} fell short; ${total.again} edits made again on one; ` +
        `${total.refused} edits refused`,
    );
  });
});

describeWithQemu('QEMU agrees', () => {
  test('on a sample of the states, and writes on without harm', { timeout: 300_000 }, async () => {
    const { states, writes } = await judgeByQemu(forQemu, QEMU_STATES, random);
    console.log(`seed ${SEED}: ${states} states right by QEMU, ${writes} guest writes after them`);
    expect(states).toBe(Math.min(QEMU_STATES, total.edits));
  });
});
