/** What a check calls corruption and no edit refuses: it is right afterwards, and the edit says so. */
import { expect, test } from 'vitest';
import {
  checkImage,
  executePlan,
  executeStages,
  memoryDevice,
  openImage,
  planApply,
  planCreate,
  planDelete,
  planDeleteInPlace,
  planRename,
  type BlockDevice,
  type EditFacts,
  type OpenImage,
} from '../../../../src/index.js';
import { patientOf } from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';
import { COPIED_BIT, OFFSET_MASK, putU64, u64 } from '../../../support/image-builder-layout.js';
import { seededRandom } from '../../../support/mutate.js';
import { madeOn } from '../../../support/plans.js';

const date = { seconds: 1_700_000_000, nanoseconds: 0 };

type Edit = (device: BlockDevice, image: OpenImage) => Promise<EditFacts>;

const EDITS: Readonly<Record<string, Edit>> = {
  create: async (device, image) => {
    const plan = await planCreate(image, { name: 'new', date });
    await executePlan(madeOn(device, plan));
    return plan.facts;
  },
  apply: async (device, image) => {
    const plan = await planApply(image, image.snapshots[0]!, { discardChanges: true });
    await executePlan(madeOn(device, plan));
    return plan.facts;
  },
  delete: async (device, image) => {
    const plan = await planDelete(image, image.snapshots.slice(-1));
    await executePlan(madeOn(device, plan));
    return plan.facts;
  },
  'delete in place': async (device, image) => {
    const plan = await planDeleteInPlace(image, image.snapshots.slice(0, 1));
    await executeStages(madeOn(device, plan));
    return plan.facts;
  },
};

/** An image of which some COPIED flags of the active disk are wrong, in L1 and L2 tables. */
function withWrongFlags(fixture: string, seed: number): Uint8Array {
  const { bytes, l1s, standard } = patientOf(loadFixture(fixture));
  const random = seededRandom(seed);
  const active = standard.filter(({ active: isActive }) => isActive).map(({ at }) => at);
  const { at: l1At, entries } = l1s[0]!;
  const l1 = Array.from({ length: entries }, (_, i) => l1At + i * 8);
  const used = [...active, ...l1.filter((at) => (u64(bytes, at) & OFFSET_MASK) !== 0n)];
  const chosen = used.filter((_, i) => random(3) === 0 || i === seed % used.length);
  for (const at of chosen) putU64(bytes, at, u64(bytes, at) ^ COPIED_BIT);
  return bytes;
}

const FIXTURES = ['five-snapshots', 'version-2', 'compressed-zlib', 'extended-l2', 'cluster-512'];
const CASES = FIXTURES.flatMap((fixture) =>
  Object.keys(EDITS).flatMap((edit) => [1, 2, 3].map((seed) => [fixture, edit, seed] as const)),
);

test.each(CASES)('COPIED flags: %s, %s, seed %i', async (fixture, edit, seed) => {
  const bytes = withWrongFlags(fixture, seed);
  expect((await checkImage(memoryDevice(bytes))).exitCode).toBe(2);
  const device = memoryDevice(bytes);
  const { mends } = await EDITS[edit]!(device, await openImage(device));
  expect(mends).toEqual(['copied-flags']);
  expect((await checkImage(device)).totals.corruptions).toBe(0);
});

test('a rename leaves the flags, and does not say otherwise', async () => {
  const device = memoryDevice(withWrongFlags('five-snapshots', 1));
  const before = await checkImage(device);
  const image = await openImage(device);
  const plan = await planRename(image, image.snapshots[0]!, 'renamed');
  expect(plan.facts.mends).toEqual([]);
  await executePlan(madeOn(device, plan));
  const after = await checkImage(device);
  expect(after.totals.corruptions).toBe(before.totals.corruptions);
});

test.each(Object.keys(EDITS))('entries that lack extra data: %s', async (edit) => {
  const device = memoryDevice(loadFixture('extra-data'));
  expect((await checkImage(device)).totals.corruptions).toBeGreaterThan(0);
  const { mends } = await EDITS[edit]!(device, await openImage(device));
  expect(mends).toEqual(['snapshot-entries']);
  expect((await checkImage(device)).totals.corruptions).toBe(0);
});

// The list is made shorter where it lies.
test('a deletion in place of the last snapshot leaves the entries of the others', async () => {
  const device = memoryDevice(loadFixture('extra-data'));
  const image = await openImage(device);
  const plan = await planDeleteInPlace(image, image.snapshots.slice(-1));
  expect(plan.facts.mends).toEqual([]);
  await executeStages(madeOn(device, plan));
  expect((await checkImage(device)).totals.corruptions).toBeGreaterThan(0);
});

test('of a sound image nothing is said', async () => {
  const device = memoryDevice(loadFixture('five-snapshots'));
  expect((await EDITS['create']!(device, await openImage(device))).mends).toEqual([]);
  expect((await checkImage(device)).exitCode).toBe(0);
});
