import { expect, test } from 'vitest';
import { EDITS } from '../support/crash-judge-edits.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { mutate, pick, seededRandom, victimOf, type Victim } from '../support/mutate.js';
import { putThrough } from './ordeal.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_240_229);
const MUTANTS = Number(process.env['QSNAP_MUTANTS'] ?? 1_200);
/** Copies of larger fixtures would take the time of many mutants. */
const LARGEST_BYTES = 1_300_000;

interface Named {
  readonly name: string;
  readonly victim: Victim;
}

/** Every fixture that can be read, the qcow of version 1 being of no use here. */
function victims(): readonly Named[] {
  return fixtureNames()
    .filter((name) => name !== 'qcow-version-1' && !name.startsWith('feature-incompatible'))
    .map((name) => ({ name, bytes: loadFixture(name) }))
    .filter(({ bytes }) => bytes.length <= LARGEST_BYTES)
    .map(({ name, bytes }) => ({ name, victim: victimOf(bytes) }));
}

test('no mutant of a fixture does harm', { timeout: 20 * MUTANTS + 600_000 }, async () => {
  const all = victims();
  const faults: string[] = [];
  const count = { opened: 0, edited: 0, refused: 0 };
  for (let i = 0; i < MUTANTS && faults.length < 10; i++) {
    const seed = SEED + i;
    const random = seededRandom(seed);
    const { name, victim } = all[i % all.length]!;
    const { bytes, description } = mutate(victim, random);
    const edits = [pick(random, EDITS), pick(random, EDITS)];
    const outcome = await putThrough(bytes, edits);
    count.opened += Number(outcome.opened);
    count.edited += outcome.edited;
    count.refused += outcome.refusals.length;
    for (const fault of outcome.faults) {
      faults.push(`${name}, seed ${seed}, ${description}: ${fault}`);
    }
  }
  console.log(
    `seed ${SEED}: ${MUTANTS} mutants, ${count.opened} opened, ${count.edited} edits made, ` +
      `${count.refused} operations refused, ${faults.length} faults`,
  );
  expect(faults).toEqual([]);
  // A mutator that only ever makes what nobody opens would prove little.
  expect(count.opened).toBeGreaterThan(MUTANTS / 4);
  expect(count.edited).toBeGreaterThan(MUTANTS / 20);
});
