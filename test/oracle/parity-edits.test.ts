import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  copyCompanions,
  copyFixture,
  expectedJson,
  expectedText,
  fixtureNames,
  fixturePath,
  loadFixture,
} from '../support/fixture.js';
import { memoryDirectory } from '../support/directories.js';
import { check, describeWithQemu, expectClean, expectIdentical } from '../support/qemu.js';
import {
  differencesOf,
  type DifferenceName,
  type ON_DISK_DIFFERENCES,
} from './parity-differences.js';
import { behaviour, editBoth, type EditedPair, madeByBoth, qemuOutcome } from './parity.js';
import { oneIn } from '../support/left-out.js';

/** By fixture: what all of its edits show. */
const EXPECTED: Readonly<Record<string, DifferenceName>> = {
  aes: 'no-key-needed',
  luks: 'no-key-needed',
  'backing-json-name': 'backing-never-opened',
  'backing-missing': 'backing-never-opened',
  'qcow-version-1': 'other-formats',
  dirty: 'dirty-refused',
  'lazy-refcounts-dirty': 'dirty-refused',
  'l2-past-end': 'damage-refused',
  'l2-unaligned': 'damage-refused',
  'refcount-too-low': 'damage-refused',
  'refcount-zero': 'damage-refused',
};

/** Applying a snapshot where every count is at its highest: QEMU counts up before it counts down. */
const APPLIED_AT_FULL_COUNT = new Set(['refcount-2', 'refcount-4']);

/** `check` of QEMU's result ends with code 2, of ours with 0: the old entries lack what v3 asks. */
const COMPLETED_ENTRIES = new Set(['extra-data']);

type OnDisk = (typeof ON_DISK_DIFFERENCES)[number];

interface Named {
  readonly id: string;
  readonly name: string;
}

function snapshotsOf(fixture: string): readonly Named[] {
  if (!existsSync(fixturePath(fixture, 'expected/info.json'))) return [];
  if (!expectedText(fixture, 'info.json').startsWith('{')) return [];
  const info = expectedJson(fixture, 'info.json') as { readonly snapshots?: readonly Named[] };
  return info.snapshots ?? [];
}

function editsOf(fixture: string): string[][] {
  const [first] = snapshotsOf(fixture);
  const always = [['-c', 'fresh']];
  return first === undefined ? always : [...always, ['-a', first.id], ['-d', first.name]];
}

/** A listing without the time that a new snapshot got. */
async function listing(image: string): Promise<string> {
  const { stdout } = await qemuOutcome(['snapshot', '-l', image], path.dirname(image));
  return stdout.replace(/^(\d+ +fresh .*)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/m, '$1');
}

/** Same snapshots, same guest disk, no more findings than in QEMU's own result. */
async function expectSameResult(fixture: string, argv: string, pair: EditedPair): Promise<void> {
  const [theirs, ours] = madeByBoth(pair, `${fixture}.qcow2`);
  const [ourList, theirList, ourCheck, theirCheck] = await Promise.all([
    listing(ours),
    listing(theirs),
    check(ours),
    check(theirs),
  ]);
  expect(ourList, argv).toEqual(theirList);
  if (COMPLETED_ENTRIES.has(fixture)) expect(ourCheck.code, argv).toBe(0);
  else expect(ourCheck.code, `${argv}: ${ourCheck.stderr}`).toBe(theirCheck.code);
  expect(ourCheck.report?.corruptions ?? 0, argv).toBe(0);
  await expectIdentical(theirs, ours, ['-f', 'qcow2', '-F', 'qcow2']);
}

describeWithQemu('edits of every fixture end as with qemu-img', () => {
  test.each(oneIn(5, fixtureNames()))('%s', { timeout: 120_000 }, async (name) => {
    const file = `${name}.qcow2`;
    const top = memoryDirectory();
    const made = path.join(top, 'made');
    mkdirSync(made);
    copyFixture(name, made);
    copyCompanions(name, made);
    for (const [index, action] of editsOf(name).entries()) {
      const parent = path.join(top, String(index));
      mkdirSync(parent);
      const pair = await editBoth(['snapshot', ...action, file], parent, (directory) => {
        cpSync(made, directory, { recursive: true });
      });
      const argv = action.join(' ');
      const atFullCount = action[0] === '-a' && APPLIED_AT_FULL_COUNT.has(name);
      const expected = atFullCount ? 'apply-at-full-count' : EXPECTED[name];
      const found = differencesOf(pair);
      const told = `${argv}: ${JSON.stringify(pair)}`;
      if (expected !== undefined) {
        expect(found, told).toContain(expected);
        continue;
      }
      expect(pair.ours, told).toEqual(pair.qemu);
      if (pair.qemu.code === 0) await expectSameResult(name, argv, pair);
    }
  });

  test('what QEMU repairs when it opens an image, qsnap-img leaves alone', async () => {
    const name = 'lazy-refcounts-dirty';
    const argv = ['snapshot', `${name}.qcow2`];
    const pair = await editBoth(argv, memoryDirectory(), (directory) => {
      copyFixture(name, directory);
    });
    // Newer versions list, and repair nothing either.
    expect(differencesOf(pair)).toEqual(behaviour().snapshotLists ? [] : ['no-repair-on-open']);
    expect(pair.ours.code).toBe(0);
    expect(pair.ours.stderr).toBe('');
  });

  test('the bitmaps bit without bitmaps: QEMU gives the image up', async () => {
    const pair = await editBoth(
      ['snapshot', '-c', 'fresh', 'disk.qcow2'],
      memoryDirectory(),
      (at) => {
        const bytes = loadFixture('cluster-4k');
        bytes[95] = bytes[95]! | 1;
        writeFileSync(path.join(at, 'disk.qcow2'), bytes);
      },
    );
    expect(differencesOf(pair)).toEqual(['bitmaps-bit-alone']);
    expect(pair.ours).toEqual({ code: 0, stdout: '', stderr: '' });
    await expectClean(path.join(pair.ourDirectory, 'disk.qcow2'));
  });

  /** Runs one edit with both tools; they print the same and end with 0. */
  async function editedAlike(name: string, action: readonly string[]): Promise<EditedPair> {
    const pair = await editBoth(
      ['snapshot', ...action, `${name}.qcow2`],
      memoryDirectory(),
      (at) => {
        copyFixture(name, at);
      },
    );
    expect(pair.ours).toEqual(pair.qemu);
    expect(pair.qemu.code).toBe(0);
    return pair;
  }

  const checksOf = async (name: string, pair: EditedPair) => ({
    qemu: await check(path.join(pair.qemuDirectory, `${name}.qcow2`)),
    ours: await check(path.join(pair.ourDirectory, `${name}.qcow2`)),
  });

  const ON_DISK: Record<OnDisk, () => Promise<void>> = {
    'old-entries-completed': async () => {
      const pair = await editedAlike('extra-data', ['-a', '1']);
      const { qemu, ours } = await checksOf('extra-data', pair);
      expect(qemu.stderr).toContain('snapshot table entry 0 is incomplete');
      expect([qemu.code, ours.code]).toEqual([2, 0]);
    },
    'stale-bitmaps-kept': async () => {
      const name = 'bitmaps-autoclear-off';
      const pair = await editedAlike(name, ['-c', 'fresh']);
      const { qemu, ours } = await checksOf(name, pair);
      const warning = 'all bitmaps are now considered inconsistent';
      expect([qemu.stderr.includes(warning), ours.stderr.includes(warning)]).toEqual([false, true]);
      expect(ours.report?.leaks).toBe(qemu.report?.leaks);
    },
  };

  test.each(Object.entries(ON_DISK))('on disk: %s', async (_, show) => {
    await show();
  });
});
