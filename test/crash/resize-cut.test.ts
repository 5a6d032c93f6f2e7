import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import type { OpenImage } from '../../src/image/image.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { planResize } from '../../src/edit/resize/plan-resize.js';
import type { ResizeOptions } from '../../src/edit/resize/resize-options.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { plainBitmaps } from '../support/bitmap-bits.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { cutEverywhere } from '../support/crash-judge-cuts.js';
import { shortcomings, type Edit } from '../support/crash-judge-edits.js';
import { withFullRefcountTable } from '../support/crash-judge-growth.js';
import { judgeByQemu, type SampledState } from '../support/crash-judge-qemu.js';
import { loadFixture } from '../support/fixture.js';
import { seededRandom } from '../support/mutate.js';
import { describeWithQemu } from '../support/qemu.js';
import type { BlockSource } from '../../src/io/device.js';
import { IS_PLAIN, oneIn, THINNER } from '../support/left-out.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4712);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 10);
const QEMU_STATES = Number(process.env['QSNAP_CRASH_QEMU'] ?? (IS_PLAIN ? 15 : 30));

const FIXTURES = [
  ...['cluster-512', 'refcount-1', 'refcount-2', 'refcount-8', 'refcount-32', 'refcount-64'],
  ...['extended-l2-16k', 'everything', 'compressed-v2', 'compressed-spanning', 'zeros'],
  ...['version-2', 'backing', 'backing-chain', 'resized-larger', 'resized-smaller'],
  ...['l1-larger-than-needed', 'vm-state-5gib', 'refcount-leaks', 'bitmaps-snapshots', 'aes'],
  ...['bitmaps', 'bitmaps-in-use'],
  ...['never-written', 'feature-autoclear-unknown'],
];

/** Refusals that are right: the image forbids the resize. */
const RIGHT_REFUSALS = [
  ...['SIZE_DIFFERS_IN_V2', 'BITMAP_INCONSISTENT', 'GROWTH_SHOWS_BACKING', 'PREALLOCATION_REFUSED'],
];

/** The resizes, by the size that the image has. */
const RESIZES: readonly {
  readonly name: string;
  readonly wishes: (image: OpenImage) => ResizeOptions;
}[] = [
  { name: 'grow', wishes: (image) => ({ diskSizeBytes: grown(image, 3) }) },
  {
    name: 'grow by an L2 table',
    wishes: (image) => ({ diskSizeBytes: grown(image, 1) + image.geometry.l2CoverageBytes }),
  },
  {
    name: 'grow, preallocating',
    wishes: (image) => ({ diskSizeBytes: grown(image, 5), preallocation: 'metadata' }),
  },
  {
    name: 'grow, writing zeros',
    wishes: (image) => ({ diskSizeBytes: grown(image, 4), preallocation: 'full' }),
  },
  {
    name: 'shrink to a half',
    wishes: ({ header }) => ({ diskSizeBytes: sectors(header.diskSizeBytes / 2), shrink: true }),
  },
  { name: 'shrink to one sector', wishes: () => ({ diskSizeBytes: 512, shrink: true }) },
];

const sectors = (bytes: number): number => Math.ceil(bytes / 512) * 512;
const grown = ({ header, geometry }: OpenImage, clusters: number): number =>
  sectors(header.diskSizeBytes) + clusters * geometry.clusterBytes + 512;

const random = seededRandom(SEED);
const forQemu: SampledState[] = [];
const total = { edits: 0, states: 0, short: 0, again: 0, refused: 0 };

/** The edit with what it makes when nothing disturbs it; undefined where it is rightly refused. */
async function editOf(
  bytes: Uint8Array,
  { name, wishes }: (typeof RESIZES)[number],
): Promise<(Edit & { readonly bitmaps: string }) | undefined> {
  const plan = <Source extends BlockSource>(image: OpenImage<Source>) =>
    planResize(image, wishes(image));
  const device = memoryDevice(bytes);
  try {
    await executePlan(await plan(await openImage(device)));
  } catch (error) {
    if (!isQsnapError(error) || !RIGHT_REFUSALS.includes(error.code)) throw error;
    total.refused += 1;
    return undefined;
  }
  const after = contentsOf(device.snapshotBytes());
  // What the snapshots hold is none of a resize's business.
  expect(after.snapshots).toEqual(contentsOf(bytes).snapshots);
  const bitmaps = bitmapsIn(device.snapshotBytes());
  return { name, needs: 0, plan, model: () => after, bitmaps };
}

const bitmapsIn = (bytes: Uint8Array): string => JSON.stringify(plainBitmaps(Buffer.from(bytes)));

async function tryResize(
  fixture: string,
  bytes: Uint8Array,
  resize: (typeof RESIZES)[number],
): Promise<void> {
  const edit = await editOf(bytes, resize);
  if (edit === undefined) return;
  const { leaks } = checkPlain(bytes);
  const bitmapsBefore = bitmapsIn(bytes);
  const old: Uint8Array[] = [];
  let chosen: Uint8Array | undefined;
  let seen = 0;
  const { states, short } = await cutEverywhere(bytes, edit, {
    seed: SEED,
    subsetLimit: SUBSETS,
    samples: SAMPLES,
    visit: (state, isNew) => {
      expect(bitmapsIn(state), `seed ${SEED}`).toBe(isNew ? edit.bitmaps : bitmapsBefore);
      if (!isNew) old.splice(0, 1, state.slice());
      seen += 1;
      if (random(seen) === 0) chosen = state;
    },
  });
  total.edits += 1;
  total.states += states;
  total.short += short.length;
  expect(short.slice(0, 5), `seed ${SEED}, ${fixture}, ${edit.name}`).toEqual([]);
  // QEMU has no key of an encrypted image here.
  if (chosen !== undefined && !/^(aes|luks)/.test(fixture)) {
    forQemu.push({ fixture, edit: edit.name, bytes: chosen });
  }
  // The edit once more, on the last state that still is the old one.
  for (const state of old) {
    const device = memoryDevice(state);
    await executePlan(await edit.plan(await openImage(device)));
    const contents = [edit.model(contentsOf(bytes))];
    expect(shortcomings(device.snapshotBytes(), { contents, leaks })).toEqual([]);
    total.again += 1;
  }
}

describe('a power cut during a resize leaves the old size or the new one', () => {
  describe.each(FIXTURES)('%s', (fixture) => {
    const bytes = loadFixture(fixture);
    const resizes = oneIn(3, RESIZES, FIXTURES.indexOf(fixture));
    test.each(resizes)('$name', (resize) => tryResize(fixture, bytes, resize));
  });

  describe('a refcount table that has to grow', () => {
    const bytes = withFullRefcountTable(loadFixture('refcount-many-blocks'));
    test.each(oneIn(3, RESIZES))('$name', (resize) =>
      tryResize('refcount-many-blocks', bytes, resize),
    );
  });

  afterAll(() => {
    console.log(
      `seed ${SEED}: ${total.states} crash states of ${total.edits} resizes judged, ` +
        `${total.short} fell short; ${total.again} made again on one; ${total.refused} refused`,
    );
    expect(total.edits).toBeGreaterThan(IS_PLAIN ? 20 / THINNER : 80);
  });
});

describeWithQemu('QEMU agrees', () => {
  test('on a sample of the states, and writes on without harm', { timeout: 300_000 }, async () => {
    const { states, writes } = await judgeByQemu(forQemu, QEMU_STATES, random);
    console.log(`seed ${SEED}: ${states} states right by QEMU, ${writes} guest writes after them`);
    expect(states).toBe(Math.min(QEMU_STATES, forQemu.length));
  });
});
