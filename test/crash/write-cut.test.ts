import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import type { OpenImage } from '../../src/image/image.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { besideEdit } from '../../src/edit/write/beside-edit.js';
import type { DiskChange } from '../../src/edit/write/disk-change.js';
import { planWrite } from '../../src/edit/write/plan-write.js';
import { nodeDecompressor } from '../../src/node/index.js';
import type { Gate } from '../../src/read/guest/gate.js';
import { openGuestDisk } from '../../src/read/guest/open-guest-disk.js';
import { plainBitmaps } from '../support/bitmap-bits.js';
import { contentsOf } from '../support/crash-judge.js';
import { cutEverywhere } from '../support/crash-judge-cuts.js';
import { judgeByQemu, type SampledState } from '../support/crash-judge-qemu.js';
import { loadFixture } from '../support/fixture.js';
import { IS_PLAIN, oneIn, THINNER } from '../support/left-out.js';
import { seededRandom } from '../support/mutate.js';
import { describeWithQemu } from '../support/qemu.js';
import type { BlockSource } from '../../src/io/device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4715);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 10);
const QEMU_STATES = Number(process.env['QSNAP_CRASH_QEMU'] ?? (IS_PLAIN ? 15 : 30));

const FIXTURES = [
  ...['cluster-512', 'refcount-1', 'refcount-8', 'refcount-64', 'five-snapshots', 'never-written'],
  ...['extended-l2-16k', 'everything', 'compressed-v2', 'compressed-spanning', 'zeros'],
  ...['version-2', 'vm-state', 'refcount-leaks', 'bitmaps-snapshots', 'l1-larger-than-needed'],
  ...['bitmaps', 'bitmaps-in-use'],
];

/** A refusal that is right: a table that is emptied beside leaks leaves a doubt. */
const isRightRefusal = (code: string, fixture: string): boolean =>
  code === 'IMAGE_DAMAGED' && fixture === 'refcount-leaks';

const bitmapsIn = (bytes: Uint8Array): string => JSON.stringify(plainBitmaps(Buffer.from(bytes)));

/** Writes, by shares of the disk. */
const WRITES: readonly { readonly name: string; readonly changes: readonly Share[] }[] = [
  { name: 'whole clusters', changes: [[0, 1 / 4, 'data']] },
  { name: 'a sector', changes: [[1 / 3, 0, 'data']] },
  {
    name: 'data and zeros by turns',
    changes: [
      [0.1, 0.01, 'data'],
      [0.2, 0.2, 'zero'],
      [0.4, 0.1, 'data'],
      [0.9, 0.1, 'zero'],
    ],
  },
  { name: 'all zeros', changes: [[0, 1, 'zero']] },
];
type Share = readonly [at: number, length: number, kind: DiskChange['kind']];

const random = seededRandom(SEED);
const forQemu: SampledState[] = [];
const total = { edits: 0, states: 0, refused: 0 };

function changesOf({ header }: OpenImage, shares: readonly Share[]): readonly DiskChange[] {
  const sectors = header.diskSizeBytes / 512;
  // A disk of terabytes need not be written whole.
  const most = 4096;
  return shares.map(([from, share, kind]) => {
    const at = Math.floor(sectors * from);
    const length = Math.max(1, Math.floor(Math.min(sectors, most) * share));
    return { at: at * 512, length: Math.min(length, sectors - at) * 512, kind };
  });
}

/** Holds another byte in each sector of a disk. */
const content: BlockSource = {
  label: 'content',
  sizeBytes: () => Promise.resolve(2 ** 52),
  close: () => Promise.resolve(),
  readBatch: (requests) => {
    for (const { at, into } of requests) {
      for (let i = 0; i < into.length; i++) into[i] = 1 + (Math.floor((at + i) / 512) % 251);
    }
    return Promise.resolve();
  },
};

/** What is below an image holds zeros. */
const gate: Gate = {
  openBacking: () => {
    const source = memoryDevice(new Uint8Array(512));
    return Promise.resolve({ source, format: 'raw', identity: 'below' });
  },
  openDataFile: () => Promise.reject(new Error('never')),
};

async function tryWrite(fixture: string, { name, changes }: (typeof WRITES)[number]) {
  const bytes = loadFixture(fixture);
  const plan = async <Source extends BlockSource>(image: OpenImage<Source>) => {
    const disk = await openGuestDisk(besideEdit(image), { decompressor: nodeDecompressor(), gate });
    return planWrite(image, { changes: changesOf(image, changes), content, disk });
  };
  const device = memoryDevice(bytes);
  try {
    await executePlan(await plan(await openImage(device)));
  } catch (error) {
    if (!isQsnapError(error) || !isRightRefusal(error.code, fixture)) throw error;
    total.refused += 1;
    return;
  }
  const [before, after] = [contentsOf(bytes), contentsOf(device.snapshotBytes())];
  expect(after.snapshots).toEqual(before.snapshots);
  const bitmaps = { before: bitmapsIn(bytes), after: bitmapsIn(device.snapshotBytes()) };
  const edit = { name, needs: 0, plan, model: () => after };
  let chosen: Uint8Array | undefined;
  let seen = 0;
  const { states, short } = await cutEverywhere(bytes, edit, {
    ...{ seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES },
    visit: (state, isNew) => {
      expect(bitmapsIn(state), `seed ${SEED}`).toBe(isNew ? bitmaps.after : bitmaps.before);
      seen += 1;
      if (random(seen) === 0) chosen = state.slice();
    },
  });
  total.edits += 1;
  total.states += states;
  expect(short.slice(0, 5), `seed ${SEED}, ${fixture}, ${name}`).toEqual([]);
  if (chosen !== undefined) forQemu.push({ fixture, edit: name, bytes: chosen });
}

describe('a power cut during a write leaves the old disk or the new one', () => {
  describe.each(FIXTURES)('%s', (fixture) => {
    const writes = oneIn(2, WRITES, FIXTURES.indexOf(fixture));
    test.each(writes)('$name', (write) => tryWrite(fixture, write));
  });

  afterAll(() => {
    console.log(
      `seed ${SEED}: ${total.states} crash states of ${total.edits} writes judged, ${total.refused} refused`,
    );
    expect(total.edits).toBeGreaterThan(IS_PLAIN ? 20 / THINNER : 40);
  });
});

describeWithQemu('QEMU agrees', () => {
  test('on a sample of the states, and writes on without harm', { timeout: 300_000 }, async () => {
    const { states, writes } = await judgeByQemu(forQemu, QEMU_STATES, random);
    console.log(`seed ${SEED}: ${states} states right by QEMU, ${writes} guest writes after them`);
    expect(states).toBe(Math.min(QEMU_STATES, forQemu.length));
  });
});
