/** `check` of both tools: on command lines, fixtures and damage of every kind, and what -r leaves. */
import { checkImage } from '../../src/read/check/check-image.js';
import { memoryDevice } from '../../src/io/memory.js';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { HARMLESS_DAMAGE, OVERLAPS, patientOf, UNREADABLE_DAMAGE } from '../support/damage.js';
import { TABLE_DAMAGE } from '../support/damage-tables.js';
import { contentsOf } from '../support/crash-judge.js';
import { copyCompanions, copyFixture, fixtureNames, loadFixture } from '../support/fixture.js';
import { snapshotsOf } from '../support/image-builder.js';
import { seedOf } from '../support/model-random.js';
import { seededRandom } from '../support/mutate.js';
import { memoryDirectory } from '../support/directories.js';
import { IS_PLAIN, leaveOut, oneIn, THINNER } from '../support/left-out.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { damaged, EXAMPLES } from '../unit/read/check/examples.js';
import { differencesOf, type DifferenceName } from './parity-differences.js';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import { editBoth, ourOutcome, readBoth } from './parity.js';

const DISK = 'version-3.qcow2';
const OPTIONS = `driver=qcow2,file.filename=${DISK}`;
const seed = seedOf();

function setUp(directory: string): void {
  for (const name of ['version-3', 'refcount-leaks']) copyFixture(name, directory);
  writeFileSync(path.join(directory, 'raw'), Buffer.alloc(5000, 'hello\n'));
}

const EQUAL: readonly (readonly string[])[] = [
  ['check'],
  ['check', DISK],
  ['check', '-q', DISK],
  ['check', '-U', DISK],
  ['check', '-qU', DISK],
  ['check', '--output=json', DISK],
  ['check', '--output=human', DISK],
  ['check', '--output=xml', DISK],
  ['check', '--output=', DISK],
  ['check', '--output', 'json', '-q', DISK],
  ['check', '-f', 'qcow2', DISK],
  ['check', '-f', 'raw', DISK],
  ['check', '-f', 'foo', DISK],
  ['check', 'raw'],
  ['check', '-f', 'qcow2', 'raw'],
  ['check', '--output=json', 'raw'],
  ['check', '-q', 'raw'],
  ['check', '-r', 'leaks', 'raw'],
  ['check', '-r', 'all', '-f', 'raw', 'raw'],
  ['check', 'nofile'],
  ['check', '-r', 'all', 'nofile'],
  ['check', ''],
  ['check', DISK, 'x'],
  ['check', '-r', DISK],
  ['check', '-r'],
  ['check', '-r', 'foo', DISK],
  ['check', '--repair=all', DISK],
  ['check', '--rep', 'all', DISK],
  ['check', '-rleaks', DISK],
  ['check', '-r', 'all', '-U', DISK],
  ['check', '-r', 'all', '--output=json', DISK],
  ['check', '-r', 'all', '-q', DISK],
  ['check', '--image-opts', OPTIONS],
  ['check', '--image-opts', '-f', 'qcow2', OPTIONS],
  ['check', '--object', 'secret,id=s,data=a', DISK],
  ['check', '--object', 'secret', DISK],
  ['check', '-x', DISK],
  ['check', '--foo', DISK],
  ['check', '-T', 'x', DISK],
  ['check', '-T', 'none', DISK],
  ['check', '-Tunsafe', DISK],
  ['check', '-t', 'none', DISK],
  ['check', 'refcount-leaks.qcow2'],
  ['check', '-q', 'refcount-leaks.qcow2'],
  ['check', '--output=json', 'refcount-leaks.qcow2'],
];

const DIFFERENT: readonly DifferentLine[] = [
  ['own-help', 'check', '-h'],
  ['other-protocols', 'check', 'nbd:foo'],
  ['other-formats', 'check', '-f', 'vdi', DISK],
  ['devices-refused', 'check', '/dev/null'],
];

/** Fixtures whose check differs. All others are equal byte for byte, findings too. */
const EXPECTED: Readonly<Record<string, readonly DifferenceName[]>> = {
  aes: ['no-key-needed'],
  luks: ['no-key-needed'],
  'backing-json-name': ['backing-never-opened'],
  'backing-missing': ['backing-never-opened'],
};

const KINDS = { ...HARMLESS_DAMAGE, ...UNREADABLE_DAMAGE, ...OVERLAPS, ...TABLE_DAMAGE };
const DAMAGED = [
  ...['version-3', 'version-2', 'five-snapshots', 'cluster-512', 'extended-l2-16k', 'zeros'],
  ...['compressed-spanning', 'compressed-v2', 'bitmaps-snapshots', 'everything', 'backing-chain'],
  ...['refcount-1', 'refcount-2', 'refcount-4', 'refcount-8', 'refcount-32', 'refcount-64'],
];
const total = { equal: 0, otherwise: 0 };

/** Many lines in another order; what is wrong with bitmaps, in other words. */
const OF_DAMAGE: readonly DifferenceName[] = [
  'check-line-order',
  'huge-numbers',
  'own-words',
  'table-past-the-end',
];

/** Equal but for what damage is known to be told of otherwise. */
async function expectEqual(
  directory: string,
  argv: readonly string[],
  what: string,
): Promise<void> {
  const pair = await readBoth(argv, directory);
  const found = differencesOf(pair);
  expect(OF_DAMAGE, `${what} ${JSON.stringify(pair)}`).toEqual(expect.arrayContaining(found));
  if (found.length === 0) expect(pair.ours, what).toEqual(pair.qemu);
  total[found.length > 0 ? 'otherwise' : 'equal'] += 1;
}

describeWithQemu('check', () => {
  const run = (argv: readonly string[]) => editBoth(argv, memoryDirectory(), setUp);
  testEqual(EQUAL, run);
  testDifferent(DIFFERENT, run);

  test.each(oneIn(5, fixtureNames()))('fixture %s', async (name) => {
    const directory = memoryDirectory();
    copyFixture(name, directory);
    copyCompanions(name, directory);
    for (const options of [[], ['--output=json']]) {
      const pair = await readBoth(['check', ...options, `${name}.qcow2`], directory);
      const expected = EXPECTED[name] ?? [];
      expect(differencesOf(pair), JSON.stringify(pair)).toEqual(expected);
      if (expected.length === 0) expect(pair.ours).toEqual(pair.qemu);
    }
  });

  test.each(oneIn(2, Object.entries(EXAMPLES)))('example of %s', async (code, example) => {
    const directory = memoryDirectory();
    copyCompanions(example.fixture, directory);
    writeFileSync(path.join(directory, 'x.qcow2'), damaged(example).bytes);
    await expectEqual(directory, ['check', 'x.qcow2'], code);
  });

  test.each(DAMAGED)('%s, damaged in one way', { timeout: 60_000 }, async (name) => {
    const directory = memoryDirectory();
    copyCompanions(name, directory);
    for (const [i, [kind, damage]] of Object.entries(KINDS).entries()) {
      // A plain run tries every eighth kind on an image.
      if ((i + DAMAGED.indexOf(name)) % 8 !== 0 && IS_PLAIN) {
        leaveOut('kinds of damage to an image that QSNAP_ROUNDS=1 tries');
        continue;
      }
      const patient = patientOf(loadFixture(name));
      if (damage(patient, seededRandom(seed + i)) === undefined) continue;
      writeFileSync(path.join(directory, 'x.qcow2'), patient.bytes);
      await expectEqual(directory, ['check', 'x.qcow2'], `seed ${seed}, ${kind}`);
    }
  });

  test('of many flags and L2 tables: the same lines in another order', async () => {
    const directory = memoryDirectory();
    const patient = patientOf(loadFixture('cluster-512'));
    HARMLESS_DAMAGE['many refcounts']!(patient, seededRandom(3));
    writeFileSync(path.join(directory, 'x.qcow2'), patient.bytes);
    const pair = await readBoth(['check', 'x.qcow2'], directory);
    expect(differencesOf(pair), JSON.stringify(pair)).toEqual(['check-line-order']);
  });

  afterAll(() => {
    console.log(`seed ${seed}: ${JSON.stringify(total)}`);
    expect(total.equal).toBeGreaterThan(IS_PLAIN ? 32 / THINNER : 150);
  });
});

type Json = Readonly<Record<string, number | undefined>>;

describeWithQemu('check -r', () => {
  const image = 'x.qcow2';
  const kinds = Object.entries(HARMLESS_DAMAGE);
  const cases = ['version-3', 'bitmaps-snapshots', 'refcount-64'].flatMap((name) =>
    kinds.map(([kind, damage]) => ({ name, kind, damage })),
  );

  test.each(oneIn(3, cases))('$name, $kind: all of it, and no content changes', async (one) => {
    const patient = patientOf(loadFixture(one.name));
    if (one.damage(patient, seededRandom(seed)) === undefined) {
      leaveOut('kinds of damage that an image has no place for');
      return;
    }
    const parent = memoryDirectory();
    const argv = ['check', '-r', 'all', '--output=json', image];
    const pair = await editBoth(argv, parent, (directory) => {
      writeFileSync(path.join(directory, image), patient.bytes);
    });
    const found = differencesOf(pair);
    if (found.length > 0) expect(found, JSON.stringify(pair)).toContain('repair-own-way');
    // What a lost table may own is no leak that could be freed.
    const { ownersHidden } = await checkImage(memoryDevice(patient.bytes));
    expect(ownersHidden ? [0, 3] : [0]).toContain(pair.ours.code);
    const now = JSON.parse(pair.ours.stdout) as Json;
    expect([now['corruptions'], now['check-errors']]).toEqual([undefined, 0]);
    if (!ownersHidden) expect(now['leaks']).toBeUndefined();
    const mended = path.join(pair.ourDirectory, image);
    const { code } = await qemuImg(['check', '-f', 'qcow2', mended], { okCodes: 'any' });
    expect(code).toBe(pair.ours.code);
    expect(contentsOf(readFileSync(mended))).toEqual(contentsOf(loadFixture(one.name)));
  });

  test('what was fixed is what a check found before and does not find now', async () => {
    for (const option of ['leaks', 'all']) {
      const patient = patientOf(loadFixture('refcount-64'));
      HARMLESS_DAMAGE['leaked cluster']!(patient, seededRandom(seed));
      const argv = ['check', '-r', option, '--output=json', image];
      const pair = await editBoth(argv, memoryDirectory(), (directory) => {
        writeFileSync(path.join(directory, image), patient.bytes);
      });
      const [ours, theirs] = [pair.ours, pair.qemu].map(({ stdout }) => JSON.parse(stdout) as Json);
      for (const key of [
        'leaks-fixed',
        'corruptions-fixed',
        'leaks',
        'corruptions',
        'check-errors',
      ])
        expect(ours![key], key).toBe(theirs![key]);
      expect(pair.ours.code).toBe(pair.qemu.code);
    }
  });

  test('keeps the snapshots of an image with bitmaps, and the bitmaps', async () => {
    for (const option of ['leaks', 'all']) {
      const directory = memoryDirectory();
      const bytes = loadFixture('bitmaps-snapshots');
      const patient = patientOf(bytes);
      expect(HARMLESS_DAMAGE['refcount too high']!(patient, seededRandom(seed))).toBeDefined();
      writeFileSync(path.join(directory, image), patient.bytes);
      expect((await ourOutcome(['check', '-r', option, image], directory)).code).toBe(0);
      const mended = readFileSync(path.join(directory, image));
      expect(snapshotsOf(mended).snapshots.map(({ name }) => name)).toEqual(
        snapshotsOf(bytes).snapshots.map(({ name }) => name),
      );
      expect(contentsOf(mended)).toEqual(contentsOf(bytes));
      const info = await qemuImg(['info', '--output=json', image], { cwd: directory });
      expect(info.stdout).toContain('"bitmaps"');
      await qemuImg(['check', '-f', 'qcow2', image], { cwd: directory });
    }
  });
});
