/**
 * A check and an edit never disagree about whether an image is damaged: a check ends with 0 or 3 exactly where
 * edits can be planned, but for refusals that are about no damage.
 */
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import type { BlockSource } from '../../src/index.js';
import { memoryDevice } from '../../src/io/memory.js';
import { Campaign } from '../damage/campaign.js';
import { KINDS } from '../damage/kinds.js';
import { specimenOf } from '../damage/trial.js';
import { HARMLESS_DAMAGE, OVERLAPS, patientOf, UNREADABLE_DAMAGE } from '../support/damage.js';
import { TABLE_DAMAGE } from '../support/damage-tables.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { roundsOf } from '../support/model-random.js';
import { mutate, pick, seededRandom, victimOf } from '../support/mutate.js';
import { describeWithQemu } from '../support/qemu.js';
import { damaged as exampleOf, EXAMPLES } from '../unit/read/check/examples.js';
import { disagreements, newTally } from './agreement.js';
import { SpecimenDevice } from './fuzz/specimen.js';
import { TRAPS } from './fuzz/traps.js';
import { IS_PLAIN, oneIn } from '../support/left-out.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_261_122);
const ROUNDS = roundsOf(1);
const LARGEST_BYTES = 1_300_000;
const TIME = { timeout: 120_000 * ROUNDS + 60_000 };

const seen = newTally();
afterAll(() => {
  console.log(`QSNAP_SEED=${SEED} QSNAP_ROUNDS=${ROUNDS}: ${JSON.stringify(seen)}`);
});

const faults = async (name: string, source: () => BlockSource): Promise<readonly string[]> =>
  (await disagreements(source, seen)).map((fault) => `${name}: ${fault}`);

const over =
  (bytes: Uint8Array): (() => BlockSource) =>
  () =>
    memoryDevice(bytes);

const SMALL = fixtureNames()
  .map((name) => ({ name, bytes: loadFixture(name) }))
  .filter(({ bytes }) => bytes.length <= LARGEST_BYTES);
const READABLE = SMALL.filter(
  ({ name }) => name !== 'qcow-version-1' && !name.startsWith('feature-incompatible'),
);

describe('a check and all edits agree', TIME, () => {
  test('on every fixture', async () => {
    const found: string[] = [];
    for (const { name, bytes } of oneIn(4, SMALL)) found.push(...(await faults(name, over(bytes))));
    expect(found).toEqual([]);
  });

  test('on an example of every finding', async () => {
    const found: string[] = [];
    for (const [code, example] of oneIn(4, Object.entries(EXAMPLES))) {
      found.push(...(await faults(code, over(exampleOf(example).bytes))));
    }
    expect(found).toEqual([]);
  });

  test('on every trap', async () => {
    const found: string[] = [];
    for (const { name, make } of oneIn(4, TRAPS)) {
      const specimen = make();
      found.push(...(await faults(name, () => new SpecimenDevice(specimen))));
    }
    expect(found).toEqual([]);
  });

  test('on mutants of the fixtures', async () => {
    const victims = READABLE.map(({ name, bytes }) => ({ name, victim: victimOf(bytes) }));
    const found: string[] = [];
    for (let i = 0; i < (IS_PLAIN ? 50 : 150 * ROUNDS); i++) {
      const random = seededRandom(SEED + i);
      const { name, victim } = victims[i % victims.length]!;
      const { bytes, description } = mutate(victim, random);
      found.push(...(await faults(`${name}, seed ${SEED + i}, ${description}`, over(bytes))));
    }
    expect(found).toEqual([]);
  });

  test('on each kind of damage to a structure', async () => {
    const kinds = { ...HARMLESS_DAMAGE, ...UNREADABLE_DAMAGE, ...OVERLAPS, ...TABLE_DAMAGE };
    const found: string[] = [];
    let seed = SEED;
    for (const [kind, damage] of Object.entries(kinds)) {
      for (let round = 0; round < 3 * ROUNDS; round++, seed++) {
        const random = seededRandom(seed);
        const { name, bytes } = pick(random, READABLE);
        const patient = patientOf(bytes);
        const done = damage(patient, random);
        if (done === undefined) continue;
        const where = `${name}, seed ${seed}, ${kind}, ${done}`;
        found.push(...(await faults(where, over(patient.bytes))));
      }
    }
    expect(found).toEqual([]);
  });
});

describeWithQemu('a check and all edits agree about what disks and copies do to images', () => {
  test('on each kind of damage to a file', TIME, async () => {
    const campaign = await Campaign.start({ seed: SEED, writesOneIn: 0, withQemu: false });
    onTestFinished(() => {
      campaign.close();
    });
    const found: string[] = [];
    for (const index of oneIn(3, [...Array(KINDS.size * ROUNDS).keys()])) {
      const { sound, kind, where, bytes } = specimenOf(SEED, index, campaign.anatomies);
      const name = `seed ${SEED}, index ${index}, ${sound.image.name}, ${kind}, ${where}`;
      found.push(...(await faults(name, over(bytes))));
    }
    expect(found).toEqual([]);
  });
});
