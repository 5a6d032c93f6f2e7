/** Every kind of damage to images of each shape, mended: what an independent check finds, and what a guest reads. */
import { describe, expect, test } from 'vitest';
import { memoryDevice } from '../../../../src/io/memory.js';
import type { RepairChoice } from '../../../../src/edit/repair/choice.js';
import { proposeRepair } from '../../../../src/edit/repair/propose.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import {
  DECIDED,
  HARMLESS_DAMAGE,
  OVERLAPS,
  patientOf,
  UNREADABLE_DAMAGE,
  type Damage,
} from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';
import { checkImage, layoutOf, readGuest, snapshotsOf } from '../../../support/image-builder.js';
import { seedOf } from '../../../support/model-random.js';
import { seededRandom } from '../../../support/mutate.js';

const FIXTURES = ['cluster-512', 'extended-l2-16k', 'compressed-v2'];
const SOUND = { corruptions: [], leaks: [] };
const seed = seedOf();

/** What a guest reads of the active disk and of each snapshot, as far as each can be read. */
function contentsOf(bytes: Uint8Array): readonly string[] {
  const { l1At, l1Entries, diskSizeBytes } = layoutOf(bytes);
  return [{ l1At, l1Entries, diskSizeBytes }, ...snapshotsOf(bytes).snapshots].map((disk) => {
    try {
      return Buffer.from(readGuest(bytes, disk)).toString('latin1');
    } catch (error) {
      return String(error);
    }
  });
}

async function mended(bytes: Uint8Array, choice: RepairChoice): Promise<Uint8Array> {
  const device = memoryDevice(bytes);
  const { plan } = await proposeRepair(device, () => choice);
  if (plan !== undefined) await executePlan(plan);
  return device.snapshotBytes();
}

interface Case {
  readonly what: string;
  readonly damaged: Uint8Array;
}

/** The image with each damage that it has a part for. */
function* damagedBy(name: string, kinds: Readonly<Record<string, Damage>>): Generator<Case> {
  const bytes = loadFixture(name);
  for (const [index, [kind, damage]] of Object.entries(kinds).entries()) {
    const patient = patientOf(bytes);
    const done = damage(patient, seededRandom(seed + index * 1000));
    if (done !== undefined)
      yield { what: `seed ${seed}: ${kind}: ${done}`, damaged: patient.bytes };
  }
}

describe.each(FIXTURES)('%s', (name) => {
  const all: RepairChoice = { classes: ['all', 'leaks', 'perhaps-lost'], findings: DECIDED };

  test('refcounts, flags and stray bits: the guest reads what it always read', async () => {
    const before = contentsOf(loadFixture(name));
    for (const { what, damaged } of damagedBy(name, HARMLESS_DAMAGE)) {
      const after = await mended(damaged, all);
      expect(checkImage(after), what).toEqual(SOUND);
      expect(contentsOf(after), what).toEqual(before);
    }
  });

  test('two owners of one cluster: each reads what the cluster held', async () => {
    for (const { what, damaged } of damagedBy(name, OVERLAPS)) {
      const after = await mended(damaged, all);
      expect(checkImage(after), what).toEqual(SOUND);
      expect(contentsOf(after), what).toEqual(contentsOf(damaged));
    }
  });

  test('entries that lead nowhere read as zeros, and no snapshot goes', async () => {
    const { length } = snapshotsOf(loadFixture(name)).snapshots;
    for (const { what, damaged } of damagedBy(name, UNREADABLE_DAMAGE)) {
      const after = await mended(damaged, { classes: ['all', 'unreadable', 'perhaps-lost'] });
      expect(checkImage(after), what).toEqual(SOUND);
      expect(snapshotsOf(after).snapshots, what).toHaveLength(length);
    }
  });
});
