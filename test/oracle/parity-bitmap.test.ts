/** `bitmap`: the same words as QEMU's, and bitmaps that QEMU sees alike. */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { memoryDevice, openImage } from '../../src/index.js';
import { plainBitmaps } from '../support/bitmap-bits.js';
import { memoryDirectory } from '../support/directories.js';
import { copyFixture, fixtureNames, loadFixture } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { check, describeWithQemu } from '../support/qemu.js';
import { runProgram } from '../support/tool-shell.js';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import {
  editBoth,
  madeByBoth,
  ourOutcome,
  qemuOutcome,
  type EditedPair,
  type Outcome,
} from './parity.js';

const FIXTURES = [
  'bitmaps',
  'bitmaps-snapshots',
  'bitmaps-in-use',
  'bitmaps-autoclear-off',
  'five-snapshots',
  'version-2',
  'cluster-512',
  'empty-disk',
  'everything',
] as const;

function setUp(directory: string): void {
  for (const name of FIXTURES) copyFixture(name, directory);
  writeFileSync(path.join(directory, 'raw'), '');
  truncateSync(path.join(directory, 'raw'), 1024 * 1024);
}

const long = 'n'.repeat(1023);
const FILE = 'five-snapshots.qcow2';
const LINES: readonly (readonly string[])[] = [
  [],
  [FILE],
  [FILE, 'b'],
  ['--add'],
  ['--add', FILE],
  ['--add', FILE, 'b', 'c'],
  ['--add', FILE, 'b'],
  ['--add', FILE, ''],
  ['--add', FILE, long],
  ['--add', FILE, `${long}n`],
  ['--add', '-f', 'qcow2', FILE, 'b'],
  ['--add', '-f', 'bogus', FILE, 'b'],
  ['--add', '-g', '512', FILE, 'b'],
  ['--add', '-g', '2G', FILE, 'b'],
  ['--add', '-g', '4G', FILE, 'b'],
  ['--add', '-g', '0', FILE, 'b'],
  ['--add', '-g', '4294968320', FILE, 'b'],
  ['--add', '-g', '1000', FILE, 'b'],
  ['--add', '-g', '256', FILE, 'b'],
  ['--add', '-g', 'bogus', FILE, 'b'],
  ['--add', '-g', '-1', FILE, 'b'],
  ['--add', '-g', '9223372036854775808', FILE, 'b'],
  ['--add', '--granularity', '64k', FILE, 'b'],
  ['--clear', '-g', '64k', FILE, 'b'],
  ['--clear', '-g', '64k', FILE],
  ['--clear', '-F', 'raw', '-b', 'x', '-g', '1k'],
  ['--clear', '-F', 'raw'],
  ['--clear', '-b', 'x'],
  ['--remove-all', '-b', 'x'],
  ['--add', '-F', 'qcow2', FILE, 'b'],
  ['--add', '-b', 'bitmaps.qcow2', FILE, 'b'],
  ['--add', '--add', 'version-2.qcow2', 'b'],
  ['--remove', 'version-2.qcow2', 'b'],
  ['--add', 'cluster-512.qcow2', 'b'],
  ['--add', 'everything.qcow2', 'b'],
  ['--clear', FILE, 'nothing'],
  ['--remove', FILE, 'nothing'],
  ['--enable', FILE, 'nothing'],
  ['--disable', FILE, 'nothing'],
  ['--merge', 'nothing', FILE, 'nobody'],
  ['--merge', 'nothing', 'bitmaps.qcow2', 'daily'],
  ['--add', '--disable', '--disable', '--enable', '--clear', '--remove', '--add', FILE, 'b'],
  ['--add', '--disable', FILE, 'b'],
  ['--add', '--merge', 'daily', 'bitmaps.qcow2', 'sum'],
  ['--add', '--merge', 'daily', '-g', '512', 'bitmaps.qcow2', 'sum'],
  ['--add', '--merge', 'daily', '-g', '1M', 'bitmaps.qcow2', 'sum'],
  ['--add', '--merge', 'b', '-b', 'bitmaps.qcow2', FILE, 'b'],
  ['--add', '--merge', 'daily', '-b', 'bitmaps.qcow2', '-F', 'qcow2', FILE, 'b'],
  ['--add', '--merge', 'daily', '-b', 'raw', FILE, 'b'],
  ['--add', '--merge', 'daily', '-b', 'raw', '-F', 'raw', FILE, 'b'],
  ['--add', '--merge', 'daily', '-b', 'nothing', FILE, 'b'],
  ['--add', '--merge', 'daily', '-b', '', FILE, 'b'],
  ['--add', '--merge', 'daily', '-b', 'bitmaps.qcow2', '-F', 'bogus', FILE, 'b'],
  ['--add', '--merge', 'daily', '-b', FILE, FILE, 'b'],
  ['--merge', 'daily', 'bitmaps.qcow2', 'daily'],
  ['--remove', 'bitmaps.qcow2', 'daily'],
  ['--clear', 'bitmaps.qcow2', 'daily'],
  ['--enable', 'bitmaps.qcow2', 'weekly'],
  ['--disable', 'bitmaps.qcow2', 'daily'],
  ['--add', 'bitmaps.qcow2', 'daily'],
  ['--clear', 'bitmaps-in-use.qcow2', 'daily'],
  ['--enable', 'bitmaps-in-use.qcow2', 'daily'],
  ['--disable', 'bitmaps-in-use.qcow2', 'daily'],
  ['--add', '--merge', 'daily', 'bitmaps-in-use.qcow2', 'sum'],
  ['--remove', 'bitmaps-in-use.qcow2', 'daily'],
  ['--add', 'bitmaps-in-use.qcow2', 'other'],
  ['--add', 'bitmaps-autoclear-off.qcow2', 'b'],
  ['--remove', 'bitmaps-autoclear-off.qcow2', 'daily'],
  ['--remove-all', 'bitmaps.qcow2'],
  ['--remove-all', 'bitmaps.qcow2', 'daily'],
  ['--remove-all', '--add', 'bitmaps.qcow2'],
  ['--remove-all', '--add', 'bitmaps.qcow2', 'new'],
  ['--remove-all', FILE],
  ['--add', 'raw', 'b'],
  ['--add', '-f', 'raw', 'raw', 'b'],
  ['--add', '-f', 'raw', 'raw', ''],
  ['--add', '-g', '3', '-f', 'raw', 'raw', 'b'],
  ['--clear', '-f', 'raw', 'raw', 'b'],
  ['--add', 'nothing', 'b'],
  ['--add', '--image-opts', `driver=qcow2,file.filename=${FILE}`, 'b'],
  ['--add', '--image-opts', '-f', 'qcow2', FILE, 'b'],
  ['--add', '--object', 'secret,id=x,data=y', FILE, 'b'],
  ['--merge'],
  ['--merge=daily', '--add', 'bitmaps.qcow2', 'b'],
  ['-U', '--add', FILE, 'b'],
  ['-Z'],
  ['--bogus'],
].map((words) => ['bitmap', ...words]);

/** What is done before an action that fails stays with QEMU. */
const HALF_DONE: readonly (readonly string[])[] = [
  ['--add', '--add', FILE, 'b'],
  ['--disable', '--merge', 'no', 'bitmaps.qcow2', 'daily'],
  ['--add', '--merge', 'daily', '-b', 'bitmaps.qcow2', FILE, 'b'],
  ['--remove', '--clear', 'bitmaps.qcow2', 'daily'],
].map((words) => ['bitmap', ...words]);

const DIFFERENT: readonly DifferentLine[] = [
  ['no-bitmap-of-nothing', 'bitmap', '--add', 'empty-disk.qcow2', 'b'],
];

/** Steps that both tools take, each on images of its own; what a guest writes in between is qemu-io's. */
const HISTORIES = [
  {
    options: ['-o', 'cluster_size=512'],
    size: '4M',
    steps: [
      'bitmap --add -g 512 a.qcow2 fine',
      'io -c "write -P 1 0 3k" -c "write -P 2 2097k 1k" -c "write -P 3 4194303 1" a.qcow2',
      'bitmap --add -g 8k a.qcow2 coarse',
      'bitmap --merge fine a.qcow2 coarse',
      'snapshot -c first a.qcow2',
      'io -c "write -P 4 1M 1M" a.qcow2',
      'bitmap --add --disable --merge coarse -g 1k a.qcow2 middle',
      'bitmap --merge coarse --merge middle a.qcow2 fine',
      'bitmap --add --merge middle -g 2k -b a.qcow2 b.qcow2 other',
      'bitmap --merge other -b b.qcow2 a.qcow2 middle',
      'bitmap --clear a.qcow2 fine',
      'io -c "write -P 5 3M 700k" a.qcow2',
      'bitmap --remove a.qcow2 middle',
      'bitmap --disable --merge coarse a.qcow2 fine',
      'bitmap --remove --add -g 2G a.qcow2 coarse',
      'snapshot -d first a.qcow2',
      'bitmap --remove a.qcow2 fine',
      'bitmap --remove a.qcow2 coarse',
      'bitmap --remove b.qcow2 other',
    ],
  },
  {
    options: ['-o', 'cluster_size=64k', '-u', '-b', 'a-name-of-a-backing-file', '-F', 'raw'],
    size: '3G',
    steps: [
      'bitmap --add -g 4k a.qcow2 x',
      'bitmap --add --disable b.qcow2 y',
      'bitmap --enable b.qcow2 y',
      'bitmap --add --merge x a.qcow2 z',
      'bitmap --merge z -b a.qcow2 b.qcow2 y',
      'bitmap --remove a.qcow2 x',
      'bitmap --remove a.qcow2 z',
    ],
  },
].map(({ steps, ...rest }) => ({
  ...rest,
  steps: steps.map((step) => [...step.matchAll(/"([^"]*)"|(\S+)/g)].map((m) => m[1] ?? m[2]!)),
}));

/** QEMU leaves what version 3 asks for out of the entries of one: `old-entries-completed`. */
const FIXTURES_ALIKE = fixtureNames().filter((name) => name !== 'extra-data');

const NEEDS_MORE = /encrypt|Could not open|clusters? may be leaked|corrupt|snapshot/i;

/** QEMU makes up a name for each image that it opens. */
const unnamed = (text: string): string => text.replaceAll(/#block\d+/g, '#block');

async function bothOn(
  argv: readonly string[],
  made: (folder: string) => void,
): Promise<EditedPair> {
  const pair = await editBoth(argv, memoryDirectory(), made);
  const { qemu, ours } = pair;
  return {
    ...pair,
    qemu: { ...qemu, stderr: unnamed(qemu.stderr) },
    ours: { ...ours, stderr: unnamed(ours.stderr) },
  };
}

/** What QEMU tells of an image, but for how much room its file takes, and of its tables. */
async function told(image: string): Promise<unknown> {
  const folder = path.dirname(image);
  const info = await qemuOutcome(['info', '-U', path.basename(image)], folder);
  const { code, report } = await check(image).catch(() => ({ code: -1, report: undefined }));
  const counts = { ...report, filename: '', 'image-end-offset': 0 };
  const text = info.stdout.replaceAll(/(disk size|file length): .*/g, '$1');
  const bytes = readFileSync(image);
  const { extensions } = await openImage(memoryDevice(bytes));
  return [text, code, counts, plainBitmaps(bytes), extensions.map(({ kind }) => kind).sort()];
}

async function took(
  step: readonly string[],
  folder: string,
  tool: typeof qemuOutcome,
): Promise<Outcome> {
  const [command, ...args] = step;
  if (command !== 'io') return tool(step, folder);
  const ended = await runProgram({ program: 'qemu-io', args, cwd: folder, env: {} });
  return { code: ended.code, stdout: '', stderr: String(ended.stderr) };
}

function expectAsBefore(image: string, fixture: string): void {
  expect(readFileSync(image).equals(loadFixture(fixture))).toBe(true);
}

/** The active disks and snapshots that QEMU reads. */
async function expectSameDisks(folders: readonly string[]): Promise<void> {
  const [theirs, mine] = folders.map((folder) => path.join(folder, 'a.qcow2'));
  const { code, stdout } = await qemuOutcome(['compare', '-U', theirs!, mine!], '/');
  expect([code, stdout]).toEqual([0, 'Images are identical.\n']);
}

async function expectAlike(pair: EditedPair, argv: readonly string[]): Promise<void> {
  for (const name of FIXTURES) {
    if (!argv.some((word) => word.includes(`${name}.`))) continue;
    const [theirs, ours] = madeByBoth(pair, `${name}.qcow2`);
    if (pair.ours.code !== 0) expectAsBefore(ours, name);
    else expect(await told(ours), argv.join(' ')).toEqual(await told(theirs));
  }
}

describeWithQemu('bitmap', () => {
  testEqual(LINES, (argv) => bothOn(argv, setUp), expectAlike);
  testDifferent(DIFFERENT, (argv) => bothOn(argv, setUp));

  test.each(HALF_DONE.map((argv) => ({ argv, title: argv.join(' ') })))(
    'bitmap-all-or-nothing: $title',
    async ({ argv }) => {
      const pair = await bothOn(argv, setUp);
      expect(pair.ours).toEqual(pair.qemu);
      const name = argv.find((word) => word === FILE) ?? 'bitmaps.qcow2';
      const [theirs, ours] = madeByBoth(pair, name);
      expectAsBefore(ours, name.replace('.qcow2', ''));
      expect(plainBitmaps(readFileSync(theirs))).not.toEqual(plainBitmaps(readFileSync(ours)));
    },
  );

  test.each(oneIn(4, FIXTURES_ALIKE))('%s', async (name) => {
    const argv = ['bitmap', '--add', '--disable', `${name}.qcow2`, 'another'];
    const pair = await bothOn(argv, (folder) => {
      copyFixture(name, folder);
    });
    // What no edit may touch is refused here, and QEMU wants keys and files that lie below.
    if (pair.ours.code !== 0 || NEEDS_MORE.test(pair.qemu.stderr)) return;
    expect(pair.ours).toEqual(pair.qemu);
    const [theirs, mine] = madeByBoth(pair, `${name}.qcow2`);
    expect(await told(mine)).toEqual(await told(theirs));
  });

  test.each(HISTORIES)('a history: $options', async ({ options, size, steps }) => {
    const made = ['by-qemu', 'by-qsnap'].map((name) => path.join(memoryDirectory(), name));
    for (const folder of made) {
      mkdirSync(folder);
      for (const name of ['a', 'b']) {
        await qemuOutcome(
          ['create', '-q', '-f', 'qcow2', ...options, `${name}.qcow2`, size],
          folder,
        );
      }
    }
    for (const step of steps) {
      const theirs = await took(step, made[0]!, qemuOutcome);
      const mine = await took(step, made[1]!, ourOutcome);
      expect(mine, step.join(' ')).toEqual(theirs);
      for (const name of ['a.qcow2', 'b.qcow2']) {
        const [one, other] = made.map((folder) => path.join(folder, name));
        expect(await told(other!), step.join(' ')).toEqual(await told(one!));
      }
    }
    if (!options.includes('-b')) await expectSameDisks(made);
  });
});
