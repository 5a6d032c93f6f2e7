/**
 * A check and an edit never disagree about whether an image is damaged: a check ends with 0 or 3 exactly where a
 * snapshot can be planned, but for refusals that are about no damage.
 */
import { afterAll, describe, expect, test } from 'vitest';
import {
  checkImage,
  isQsnapError,
  openImage,
  planCreate,
  type BlockSource,
  type CheckReport,
} from '../../src/index.js';
import { memoryDevice } from '../../src/io/memory.js';
import { HARMLESS_DAMAGE, OVERLAPS, patientOf, UNREADABLE_DAMAGE } from '../support/damage.js';
import { TABLE_DAMAGE } from '../support/damage-tables.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { roundsOf } from '../support/model-random.js';
import { mutate, pick, seededRandom, victimOf } from '../support/mutate.js';
import { damaged as exampleOf, EXAMPLES } from '../unit/check/examples.js';
import { SpecimenDevice } from './fuzz/specimen.js';
import { TRAPS } from './fuzz/traps.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_261_122);
const ROUNDS = roundsOf(1);
const LARGEST_BYTES = 1_300_000;
const NEW = { name: 'agree', date: { seconds: 1_700_000_000, nanoseconds: 0 } };

/** Why a sound image is not edited. */
const NO_DAMAGE = new Set([
  'EXTERNAL_DATA_FILE',
  'IMAGE_DIRTY',
  'IMAGE_MARKED_CORRUPT',
  'REFCOUNT_OVERFLOW',
  'LIMIT_EXCEEDED',
  'SNAPSHOT_LIMIT',
  'NO_SPACE',
]);
/** What a check only notes, and what yet no edit writes on. */
const NOTED = new Set([
  'ZERO_FLAG_MEANINGLESS',
  'COPIED_WITHOUT_CLUSTER',
  'BITMAPS_EXTENSION_MISSING',
]);
/**
 * What no edit refuses. Flags are set anew by the edit (docs/decisions/0002-stale-copied-flags.md), and entries of
 * snapshots are completed; bitmaps are left as they are, by it as by a repair.
 */
const NOT_REFUSED = new Set([
  ...['L1_COPIED_SET', 'L1_COPIED_MISSING', 'L2_COPIED_SET', 'L2_COPIED_MISSING'],
  'SNAPSHOT_EXTRA_MISSING',
  ...['BITMAP_UNREADABLE', 'BITMAP_TABLE_TOO_LONG'],
]);
/** qsnap counts to 2^32 - 1: a refcount above that is a leak to a check, and nothing that an edit can carry on. */
const UNCOUNTED = 'holds a count above';

const seen = { planned: 0, refused: 0, noDamage: 0, noted: 0, notRefused: 0 };
afterAll(() => {
  console.log(`QSNAP_SEED=${SEED} QSNAP_ROUNDS=${ROUNDS}: ${JSON.stringify(seen)}`);
});

type Outcome<T> = { readonly value: T } | { readonly code: string; readonly message: string };

async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!isQsnapError(error) || error.kind === 'internal') throw error;
    return { code: error.code, message: error.message };
  }
}

/** What a check and an edit disagree about; undefined where they agree. */
async function disagreement(source: () => BlockSource): Promise<string | undefined> {
  const report = await outcomeOf(() => checkImage(source(), { owners: false }));
  const plan = await outcomeOf(async () => planCreate(await openImage(source()), NEW));
  const isSound = 'value' in report && [0, 3].includes(report.value.exitCode);
  const isPlanned = 'value' in plan;
  if (isSound === isPlanned) {
    seen[isPlanned ? 'planned' : 'refused'] += 1;
    return undefined;
  }
  if ('value' in plan) {
    if (!('value' in report) || !isNotRefused(report.value)) {
      return `planned, though ${found(report)}`;
    }
    seen.notRefused += 1;
    return undefined;
  }
  if (NO_DAMAGE.has(plan.code) || plan.message.includes(UNCOUNTED)) {
    seen.noDamage += 1;
    return undefined;
  }
  if ('value' in report && report.value.findings.some(({ code }) => NOTED.has(code))) {
    seen.noted += 1;
    return undefined;
  }
  return `${plan.code}: ${plan.message}, though ${found(report)}`;
}

/** Whether all that is wrong is of the kinds that no edit refuses. */
function isNotRefused({ findings, findingsLeftOut }: CheckReport): boolean {
  const bad = findings.filter(({ severity, remedy }) => {
    return severity === 'corruption' || severity === 'check-error' || remedy === 'perhaps-lost';
  });
  return bad.length > 0 && findingsLeftOut === 0 && bad.every(({ code }) => NOT_REFUSED.has(code));
}

function found(report: Outcome<CheckReport>): string {
  if (!('value' in report)) return `a check fails with ${report.code}: ${report.message}`;
  const { exitCode, findings, qemuFailure } = report.value;
  const codes = [...new Set(findings.map(({ code }) => code))];
  const qemu = qemuFailure === undefined ? '' : `, QEMU with ${JSON.stringify(qemuFailure)}`;
  return `a check ends with ${exitCode} (${codes.join(', ')})${qemu}`;
}

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

describe('a check and an edit agree', { timeout: 60_000 * ROUNDS + 60_000 }, () => {
  test('on every fixture', async () => {
    const faults: string[] = [];
    for (const { name, bytes } of SMALL) {
      const fault = await disagreement(over(bytes));
      if (fault !== undefined) faults.push(`${name}: ${fault}`);
    }
    expect(faults).toEqual([]);
  });

  test('on an example of every finding', async () => {
    const faults: string[] = [];
    for (const [code, example] of Object.entries(EXAMPLES)) {
      const fault = await disagreement(over(exampleOf(example).bytes));
      if (fault !== undefined) faults.push(`${code}: ${fault}`);
    }
    expect(faults).toEqual([]);
  });

  test('on every trap', async () => {
    const faults: string[] = [];
    for (const { name, make } of TRAPS) {
      const specimen = make();
      const fault = await disagreement(() => new SpecimenDevice(specimen));
      if (fault !== undefined) faults.push(`${name}: ${fault}`);
    }
    expect(faults).toEqual([]);
  });

  test('on mutants of the fixtures', async () => {
    const victims = READABLE.map(({ name, bytes }) => ({ name, victim: victimOf(bytes) }));
    const faults: string[] = [];
    for (let i = 0; i < 300 * ROUNDS; i++) {
      const random = seededRandom(SEED + i);
      const { name, victim } = victims[i % victims.length]!;
      const { bytes, description } = mutate(victim, random);
      const fault = await disagreement(over(bytes));
      if (fault !== undefined) faults.push(`${name}, seed ${SEED + i}, ${description}: ${fault}`);
    }
    expect(faults).toEqual([]);
  });

  test('on each kind of damage', async () => {
    const kinds = { ...HARMLESS_DAMAGE, ...UNREADABLE_DAMAGE, ...OVERLAPS, ...TABLE_DAMAGE };
    const faults: string[] = [];
    let seed = SEED;
    for (const [kind, damage] of Object.entries(kinds)) {
      for (let round = 0; round < 6 * ROUNDS; round++, seed++) {
        const random = seededRandom(seed);
        const { name, bytes } = pick(random, READABLE);
        const patient = patientOf(bytes);
        const done = damage(patient, random);
        if (done === undefined) continue;
        const fault = await disagreement(over(patient.bytes));
        if (fault !== undefined) faults.push(`${name}, seed ${seed}, ${kind}, ${done}: ${fault}`);
      }
    }
    expect(faults).toEqual([]);
  });
});
