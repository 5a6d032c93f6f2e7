/** An audit by all rules of images that nobody would make: it tells what it finds, soon, and reads on after it. */
import { afterAll, describe, expect, test } from 'vitest';
import {
  AUDIT_RULES,
  auditImage,
  checkImage,
  findRule,
  isQsnapError,
  memoryDevice,
} from '../../src/index.js';
import type { AuditPolicy, BlockSource } from '../../src/index.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { roundsOf } from '../support/model-random.js';
import { mutate, seededRandom, victimOf } from '../support/mutate.js';
import { damaged as exampleOf, EXAMPLES } from '../unit/read/check/examples.js';
import { SpecimenDevice } from './fuzz/specimen.js';
import { TRAPS } from './fuzz/traps.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_261_130);
const MUTANTS = 150 * roundsOf(1);
const LARGEST_BYTES = 1_300_000;
const NOW = 2_000_000_000;
const READERS = findRule('readable-by')!.options['readers']!.words!;

/** All rules are on, with options that make them look at something. */
const ALL: AuditPolicy = {
  rules: new Map(
    AUDIT_RULES.map(({ id, name }) => {
      const options = name === 'readable-by' ? { readers: READERS } : { max: 1, min: 1 };
      return [id, { level: 'error', options }];
    }),
  ),
  exceptions: [],
};

const total = { audits: 0, findings: 0, corrupt: 0 };
afterAll(() => {
  console.log(`QSNAP_SEED=${SEED}: ${JSON.stringify(total)}`);
});

/** What is wrong with the audit of one image; nothing where all is well. */
async function faults(source: () => BlockSource): Promise<readonly string[]> {
  const found: string[] = [];
  const { findings, isCorrupt } = await auditImage(source(), ALL, { now: NOW });
  total.audits += 1;
  total.findings += findings.length;
  total.corrupt += isCorrupt ? 1 : 0;
  const bytes = await source().sizeBytes();
  for (const { message, at = 0, length = 0, rule } of findings) {
    // eslint-disable-next-line no-control-regex -- what no line may have.
    if (/undefined|NaN|\[object|[\0-\x1f]/.test(message)) found.push(`${rule.id}: ${message}`);
    if (!(at >= 0 && at + length <= bytes)) found.push(`${rule.id} at ${at}`);
  }
  const check = await checkImage(source(), { owners: false }).catch((error: unknown) => {
    if (isQsnapError(error)) return undefined;
    throw error;
  });
  if (check?.exitCode === 2 && !isCorrupt) found.push('a check finds corruption');
  return found;
}

describe('an audit by all rules', { timeout: 120_000 * roundsOf(1) }, () => {
  const fixtures = fixtureNames()
    .map((name) => ({ name, bytes: loadFixture(name) }))
    .filter(({ bytes }) => bytes.length <= LARGEST_BYTES);

  test.each(fixtures)('of the fixture $name', async ({ bytes }) => {
    expect(await faults(() => memoryDevice(bytes))).toEqual([]);
  });

  test.each(TRAPS)('of the trap $name', async ({ make }) => {
    expect(await faults(() => new SpecimenDevice(make()))).toEqual([]);
  });

  test('of an example of every finding', async () => {
    for (const [code, example] of Object.entries(EXAMPLES)) {
      expect(await faults(() => memoryDevice(exampleOf(example).bytes)), code).toEqual([]);
    }
  });

  test('of mutants', async () => {
    const victims = fixtures
      .filter(({ name }) => !/^(qcow-version|feature-incomp)/.test(name))
      .map(({ name, bytes }) => ({ name, victim: victimOf(bytes) }));
    for (let i = 0; i < MUTANTS; i++) {
      const { name, victim } = victims[i % victims.length]!;
      const { bytes, description } = mutate(victim, seededRandom(SEED + i));
      const what = `${name}, seed ${SEED + i}, ${description}`;
      expect(await faults(() => memoryDevice(bytes)), what).toEqual([]);
    }
  });
});
