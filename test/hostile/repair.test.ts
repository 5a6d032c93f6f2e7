import { cpuMilliseconds } from '../support/cpu-time.js';
import { expect, test } from 'vitest';
import { checkImage } from '../../src/read/check/check-image.js';
import type { CheckReport } from '../../src/read/check/report.js';
import { isQsnapError } from '../../src/errors.js';
import { memoryDevice } from '../../src/io/memory.js';
import type { RepairChoice } from '../../src/edit/repair/choice.js';
import { proposeRepair } from '../../src/edit/repair/propose.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { checkPlain } from '../support/crash-judge.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { mutate, pick, seededRandom, victimOf } from '../support/mutate.js';
import { LONGEST_MS, metered } from './ordeal.js';
import { IS_PLAIN } from '../support/left-out.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_250_113);
const MUTANTS = Number(process.env['QSNAP_MUTANTS'] ?? (IS_PLAIN ? 60 : 120));
const LARGEST_BYTES = 1_300_000;
const MOST_READ_BYTES = 512 * 1024 * 1024;
const CHOICES: readonly RepairChoice[] = [
  { classes: ['all'] },
  { classes: ['leaks'] },
  { classes: ['all', 'leaks', 'unreadable'] },
  { classes: ['all', 'leaks', 'unreadable'], dropUnreadSnapshots: true },
  { classes: ['all'], dropSnapshots: [0] },
];

const isWithoutErrors = ({ totals, beyondQemu }: CheckReport): boolean =>
  totals.corruptions + totals.checkErrors + beyondQemu.corruptions === 0;

/** Checks and mends one mutant; what must not happen, in words. */
async function putThrough(bytes: Uint8Array, choice: RepairChoice): Promise<string[]> {
  const memory = memoryDevice(bytes);
  const device = metered(memory);
  const faults: string[] = [];
  const started = cpuMilliseconds();
  try {
    const before = await checkImage(device);
    count.checked += 1;
    // A choice may name what an image has not.
    const drops = choice.dropSnapshots?.filter((index) => index < before.snapshots.read);
    const { plan, after } = await proposeRepair(device, () => ({
      ...choice,
      ...(drops && { dropSnapshots: drops }),
    }));
    if (plan === undefined) return faults;
    await executePlan(plan);
    count.repaired += 1;
    const found = await checkImage(device);
    if (JSON.stringify(found) !== JSON.stringify(after)) faults.push('not what was proposed');
    if (isWithoutErrors(found)) {
      count.sound += 1;
      const { corruptions } = checkPlain(memory.snapshotBytes());
      // The plain reader takes no sizes past 2^53, which snapshots may claim and QEMU bears with.
      const isBeyondIt = corruptions[0]?.startsWith('unreadable: the 64-bit field') === true;
      if (corruptions.length > 0 && !isBeyondIt)
        faults.push(`called sound: ${corruptions.join(', ')}`);
    }
  } catch (error) {
    if (!isQsnapError(error) || error.kind === 'internal') {
      faults.push(error instanceof Error ? String(error.stack) : String(error));
    } else count.refused += 1;
  }
  const took = cpuMilliseconds() - started;
  // Two checks, a plan or two, a write and a check of what came of it.
  if (took > 6 * LONGEST_MS) faults.push(`took ${Math.round(took)} ms`);
  if (device.readBytes() > MOST_READ_BYTES) faults.push(`read ${device.readBytes()} bytes`);
  return faults;
}

const count = { checked: 0, repaired: 0, sound: 0, refused: 0 };

test('no mutant of a fixture harms a check or a repair', { timeout: 600_000 }, async () => {
  const victims = fixtureNames()
    .filter((name) => name !== 'qcow-version-1' && !name.startsWith('feature-incompatible'))
    .map((name) => ({ name, bytes: loadFixture(name) }))
    .filter(({ bytes }) => bytes.length <= LARGEST_BYTES)
    .map(({ name, bytes }) => ({ name, victim: victimOf(bytes) }));
  const faults: string[] = [];
  for (let i = 0; i < MUTANTS && faults.length < 10; i++) {
    const seed = SEED + i;
    const random = seededRandom(seed);
    const { name, victim } = victims[i % victims.length]!;
    const { bytes, description } = mutate(victim, random);
    const choice = pick(random, CHOICES);
    for (const fault of await putThrough(bytes, choice)) {
      const classes = JSON.stringify(choice);
      faults.push(`${name}, seed ${seed}, ${description}, ${classes}: ${fault}`);
    }
  }
  console.log(`seed ${SEED}: ${MUTANTS} mutants, ${JSON.stringify(count)}`);
  expect(faults).toEqual([]);
  expect(count.checked).toBeGreaterThan(MUTANTS / 3);
  expect(count.repaired).toBeGreaterThan(MUTANTS / 8);
  expect(count.sound).toBeGreaterThan(MUTANTS / 10);
});
