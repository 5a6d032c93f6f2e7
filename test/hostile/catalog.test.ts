/** Readings for a catalogue of images that nobody would make: each gives a record of plain values, and opens nothing else. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AUDIT_RULES, type AuditPolicy } from '../../src/index.js';
import { examineImage } from '../../src/cli/fleet/examine/examine-image.js';
import type { ImageRecord } from '../../src/cli/fleet/examine/record.js';
import { temporaryDirectory } from '../support/directories.js';
import { copyCompanions, copyFixture, fixtureNames, loadFixture } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { roundsOf } from '../support/model-random.js';
import { mutate, seededRandom, victimOf } from '../support/mutate.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_261_201);
const MUTANTS = 60 * roundsOf(1);
const LARGEST_BYTES = 1_300_000;

const POLICY: AuditPolicy = {
  rules: new Map(AUDIT_RULES.map(({ id }) => [id, { level: 'error', options: {} }])),
  exceptions: [],
};

const recordOf = (path: string): Promise<ImageRecord> =>
  examineImage(path, { policy: POLICY, now: 2_000_000_000, forceShare: false, hash: true });

/** What is wrong with a record; nothing where all is well. */
function faults(record: ImageRecord): readonly string[] {
  const text = JSON.stringify(record);
  // eslint-disable-next-line no-control-regex -- a database takes no NUL, and a terminal nothing of these.
  const isUnsafe = /[\0-\x1f]|\\u00[01]/.test(text);
  const isTold = record.failure !== undefined || record.facts !== undefined;
  return [
    ...(isUnsafe ? ['control characters'] : []),
    ...(isTold ? [] : ['neither facts nor a failure']),
    ...(structuredClone(record) === undefined ? ['no plain values'] : []),
  ];
}

test('fixtures, among them damaged ones', async () => {
  const folder = temporaryDirectory();
  const names = oneIn(2, fixtureNames());
  const paths = names.map((name) => {
    const path = join(folder, `${name}.qcow2`);
    writeFileSync(path, loadFixture(name));
    return path;
  });
  for (const path of paths) expect(faults(await recordOf(path)), path).toEqual([]);
});

test.each(['backing-chain', 'backing-v2', 'data-file'])(
  '%s: the file that it names is there, and is not read',
  async (name) => {
    const folder = temporaryDirectory();
    const path = copyFixture(name, folder);
    expect(copyCompanions(name, folder)).not.toEqual([]);
    const { disks, facts } = await recordOf(path);
    expect(facts?.backingName ?? facts?.dataFileName).toBeDefined();
    expect(disks[0]?.contentSha256).toBeUndefined();
  },
);

test(`mutants of fixtures, seed ${SEED}`, async () => {
  const random = seededRandom(SEED);
  const folder = temporaryDirectory();
  mkdirSync(folder, { recursive: true });
  const victims = fixtureNames()
    .map(loadFixture)
    .filter(({ length }) => length <= LARGEST_BYTES)
    .flatMap((bytes) => {
      try {
        return [victimOf(bytes)];
      } catch {
        // Some fixtures are damaged already.
        return [];
      }
    });
  const path = join(folder, 'mutant.qcow2');
  for (let i = 0; i < MUTANTS; i++) {
    const { bytes, description } = mutate(victims[random(victims.length)]!, random);
    writeFileSync(path, bytes);
    expect(faults(await recordOf(path)), description).toEqual([]);
  }
});
