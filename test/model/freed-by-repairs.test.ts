/**
 * Undo compares what a repair leaves free with what lay there. A cluster that it does not know of may hold something
 * else by then, so the list has to have every one: clusters that were in use by refcount alone, and those with a
 * refcount of 0 that something referred to. QSNAP_SEED repeats a run.
 */
import { expect, test } from 'vitest';
import type { RepairChoice } from '../../src/edit/repair/choice.js';
import { proposeRepair } from '../../src/edit/repair/propose.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { WritePlan } from '../../src/edit/tx/plan.js';
import { memoryDevice } from '../../src/io/memory.js';
import {
  DECIDED,
  HARMLESS_DAMAGE,
  OVERLAPS,
  patientOf,
  UNREADABLE_DAMAGE,
} from '../support/damage.js';
import { loadFixture } from '../support/fixture.js';
import { countedClusters, referencedClusters } from '../support/image-builder-check.js';
import { snapshotsOf } from '../support/image-builder.js';
import { leaveOut, oneIn } from '../support/left-out.js';
import { seedOf } from '../support/model-random.js';
import { seededRandom } from '../support/mutate.js';

const SEED = seedOf();
const FIXTURES = [
  'refcount-2',
  'refcount-64',
  'cluster-512',
  'extended-l2-16k',
  'bitmaps-snapshots',
];

const KINDS = { ...HARMLESS_DAMAGE, ...UNREADABLE_DAMAGE, ...OVERLAPS };

const everything: RepairChoice = {
  classes: ['all', 'leaks', 'perhaps-lost', 'unreadable'],
  findings: DECIDED,
};
const GIVEN_UP: Readonly<Record<string, (bytes: Uint8Array) => RepairChoice>> = {
  'gives nothing up': () => everything,
  'drops a snapshot': () => ({ ...everything, dropSnapshots: [0] }),
  'drops all but one': (bytes) => {
    const { snapshots } = snapshotsOf(bytes);
    return { ...everything, dropSnapshots: snapshots.slice(1).map((_, i) => i) };
  },
  'empties an L1 table': () => ({ ...everything, emptyL1s: [0] }),
  'drops bitmaps': () => ({ ...everything, dropBitmaps: true }),
};

function clustersOf({ freed, fileSizeBytes }: WritePlan, clusterBytes: number): number[] {
  const clusters = freed.flatMap(({ at, length }) =>
    Array.from({ length: length / clusterBytes }, (_, i) => at / clusterBytes + i),
  );
  return clusters.filter((cluster) => cluster * clusterBytes < fileSizeBytes);
}

const CASES = FIXTURES.flatMap((fixture) => Object.keys(GIVEN_UP).map((way) => ({ fixture, way })));

test.each(oneIn(2, CASES))(
  '$fixture: a repair that $way knows of all clusters that it leaves free',
  async ({ fixture, way }) => {
    let freed = 0;
    for (const [kind, damage] of Object.entries(KINDS)) {
      const patient = patientOf(loadFixture(fixture));
      if (damage(patient, seededRandom(SEED)) === undefined) {
        leaveOut('kinds of damage that an image has no place for');
        continue;
      }
      const device = memoryDevice(patient.bytes.slice());
      const choice = GIVEN_UP[way]!(patient.bytes);
      const { plan } = await proposeRepair(device, () => choice);
      if (plan === undefined) continue;
      await executePlan(plan);
      const after = device.snapshotBytes();
      const isUsed = new Set([...referencedClusters(after), ...countedClusters(after)]);
      const leftOf = (used: ReadonlySet<number>): number[] =>
        [...used].filter((cluster) => !isUsed.has(cluster)).toSorted((a, b) => a - b);
      const named = clustersOf(plan, patient.layout.clusterBytes);
      const what = `${kind}, seed ${SEED}`;
      const referenced = referencedClusters(patient.bytes);
      expect(named, what).toEqual(expect.arrayContaining(leftOf(referenced)));
      expect(
        named.filter((cluster) => isUsed.has(cluster)),
        what,
      ).toEqual([]);
      // Where refcounts can't be read, or are something else, nobody can tell which they were.
      if (!kind.startsWith('refcount-table') && !kind.startsWith('refcount block')) {
        const all = leftOf(new Set([...referenced, ...countedClusters(patient.bytes)]));
        // A block that seems to be lost tells nothing: what it counts as free may have been in use.
        if (kind === 'many refcounts') expect(named, what).toEqual(expect.arrayContaining(all));
        else expect(named, what).toEqual(all);
      }
      freed += named.length;
    }
    expect(freed).toBeGreaterThan(0);
  },
);
