import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { memoryDevice, openImage } from '../../src/index.js';
import { plainBitmaps } from '../support/bitmap-bits.js';
import { copyFixture } from '../support/fixture.js';
import { temporaryDirectory } from '../support/directories.js';
import { createImage } from '../support/made-images.js';
import { describeWithQemu, expectClean, expectIdentical } from '../support/qemu.js';
import { runProgram } from '../support/tool-shell.js';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import { behaviour, editBoth, type EditedPair, madeByBoth } from './parity.js';

const DISK = 'version-3.qcow2';
const OLD = 'plain-v2.qcow2';

/** Every file that the command lines name, made once. */
const template = temporaryDirectory();
async function makeTemplate(): Promise<void> {
  const fixtures = ['version-3', 'version-2', 'bitmaps', 'bitmaps-in-use', 'bitmaps-snapshots'];
  for (const fixture of [
    ...fixtures,
    'backing-missing',
    'data-file',
    'corrupt',
    'dirty',
    'refcount-zero',
    'aes',
  ]) {
    copyFixture(fixture, template);
  }
  writeFileSync(path.join(template, 'raw'), Buffer.alloc(5000, 'hello\n'));
  writeFileSync(path.join(template, 'base'), Buffer.alloc(2 ** 20, 'below\n'));
  const create = async (...args: readonly string[]): Promise<void> => {
    await createImage(args, template);
  };
  const over = ['-b', 'base', '-F', 'raw'];
  await create('-o', 'compat=0.10', OLD, '1M');
  await create(...over, 'short', '128k');
  await create(...over, 'odd', '130k');
  await create(...over, '-o', 'compat=0.10', 'short-v2', '128k');
  await create(...over, '-o', 'compat=0.10', 'whole-v2', '1M');
  await create('fine-bitmap', '2M');
  const tool = { cwd: template, env: {} };
  const add = ['bitmap', '--add', '-g', '512', 'fine-bitmap', 'fine'];
  const write = ['-c', 'write 0 3k', '-c', 'write 2096640 512', 'fine-bitmap'];
  await runProgram({ program: 'qemu-img', args: add, ...tool });
  await runProgram({ program: 'qemu-io', args: write, ...tool });
}

function setUp(directory: string): void {
  cpSync(template, directory, { recursive: true });
}

const SHRINK_OPTIONS = ['--shrink', '-q', '-f', 'qcow2'];

/** Command lines on which both tools agree to the byte, and in what they leave. */
const EQUAL: readonly (readonly string[])[] = [
  // The command line: the size is the last argument, whatever it looks like.
  ['resize'],
  ['resize', DISK],
  ['resize', '-q', '10M'],
  ['resize', DISK, 'other', '10M'],
  ['resize', DISK, '--shrink'],
  ['resize', DISK, '-q'],
  ['resize', '-f', DISK],
  ['resize', '-f', DISK, '10M'],
  ['resize', '-x', DISK, '10M'],
  ['resize', '-U', DISK, '10M'],
  ['resize', '--force-share', DISK, '10M'],
  ['resize', '--format=qcow2', DISK, '10M'],
  ['resize', '--foo', DISK, '10M'],
  ['resize', '--shrink=x', DISK, '10M'],
  ['resize', '--preallocation', DISK, '10M'],
  ['resize', '--preallocation=foo', DISK, '10M'],
  ['resize', '--preallocation=', 'nofile', '10M'],
  ['resize', '--', DISK, '100M'],
  ['resize', DISK, '--', '100M'],
  ['resize', DISK, '-q', '100M'],
  ['resize', '--shr', '--pre', 'off', DISK, '1M'],
  ['resize', '--object', 'secret,id=s', DISK, '10M'],
  ['resize', '--object', 'secret,id=s,data=abc', DISK, '100M'],
  ['resize', '--image-opts', `driver=qcow2,file.filename=${DISK}`, '100M'],
  ['resize', '--image-opts', '-f', 'qcow2', `driver=qcow2,file.filename=${DISK}`, '100M'],
  ['resize', '--image-opts', '-f', 'qcow2', `driver=qcow2,file.filename=${DISK}`, 'x'],
  // Sizes.
  ['resize', DISK, 'x'],
  ['resize', DISK, ''],
  ['resize', DISK, '+'],
  ['resize', DISK, '-'],
  ['resize', DISK, '+-1M'],
  ['resize', DISK, '--1M'],
  ['resize', DISK, '++1M'],
  ['resize', DISK, ' 100M'],
  ['resize', DISK, '100M '],
  ['resize', DISK, '100MB'],
  ['resize', DISK, '100m'],
  ['resize', DISK, '104857600b'],
  ['resize', DISK, '104857600.0'],
  ['resize', DISK, '104857600.5'],
  ['resize', DISK, '100.M'],
  ['resize', DISK, '.5G'],
  ['resize', DISK, '0.1G'],
  ['resize', DISK, '0.123456789012345G'],
  ['resize', DISK, '1e9'],
  ['resize', DISK, '0x10000000'],
  ['resize', DISK, '0x20000k'],
  ['resize', DISK, '0x'],
  ['resize', DISK, '0x10.5M'],
  ['resize', DISK, '0100M'],
  ['resize', DISK, '0'],
  ['resize', DISK, '+0'],
  ['resize', DISK, '-1P'],
  ['resize', DISK, '8E'],
  ['resize', DISK, '7E'],
  ['resize', DISK, '3P'],
  ['resize', DISK, '16E'],
  ['resize', DISK, '18446744073709551615'],
  ['resize', DISK, '18446744073709551616'],
  ['resize', DISK, '99999999999999999999999'],
  ['resize', DISK, '1000000001'],
  // More and less.
  ['resize', DISK, '+64k'],
  ['resize', DISK, '+512'],
  ['resize', DISK, '1G'],
  ['resize', DISK, '-64k'],
  ['resize', '--shrink', DISK, '-64k'],
  ['resize', '--shrink', DISK, '-512'],
  ['resize', '--shrink', DISK, '-100'],
  ['resize', '--shrink', DISK, '512'],
  ['resize', '--shrink', DISK, '64k'],
  ['resize', '--shrink', DISK, '1G'],
  ['resize', ...SHRINK_OPTIONS, DISK, '128k'],
  ['resize', '-fqcow2', '-q', DISK, '+3G'],
  ['resize', '--preallocation=metadata', DISK, '+1M'],
  ['resize', '--preallocation=falloc', DISK, '+1M'],
  ['resize', '--preallocation=full', DISK, '+1M'],
  ['resize', '--preallocation=off', DISK, '+1M'],
  ['resize', '--preallocation=metadata', DISK, '+0'],
  ['resize', '--preallocation=full', '--shrink', DISK, '-64k'],
  // What can't be done.
  ['resize', 'version-2.qcow2', '+1M'],
  ['resize', '--shrink', 'version-2.qcow2', '-64k'],
  ['resize', 'version-2.qcow2', '+100'],
  ['resize', 'corrupt.qcow2', '+1M'],
  ['resize', OLD, '+1M'],
  ['resize', OLD, '--preallocation=metadata', '+1M'],
  ['resize', '--shrink', OLD, '200k'],
  // Bitmaps go with the disk.
  ['resize', 'bitmaps.qcow2', '+1M'],
  ['resize', 'bitmaps.qcow2', '+0'],
  ['resize', 'bitmaps.qcow2', '3T'],
  ['resize', '--preallocation=metadata', 'bitmaps.qcow2', '+1M'],
  ['resize', '--preallocation=full', 'bitmaps.qcow2', '+1M'],
  ['resize', '--shrink', 'bitmaps.qcow2', '50k'],
  ['resize', '--shrink', 'bitmaps.qcow2', '512'],
  ['resize', 'bitmaps-snapshots.qcow2', '+1M'],
  ['resize', '--shrink', 'bitmaps-snapshots.qcow2', '510464'],
  ['resize', 'bitmaps-in-use.qcow2', '+1M'],
  ['resize', '--shrink', 'bitmaps-in-use.qcow2', '1k'],
  ['resize', 'bitmaps-in-use.qcow2', '+100'],
  ['resize', 'fine-bitmap', '+64M'],
  ['resize', '--shrink', 'fine-bitmap', '1M'],
  // Over a backing file: what it holds past the old end must not show.
  ['resize', 'short', '+64k'],
  ['resize', 'short', '10M'],
  ['resize', '--preallocation=metadata', 'short', '1M'],
  ['resize', '--shrink', 'short', '-64k'],
  ['resize', 'short-v2', '+64k'],
  ['resize', '--shrink', 'short-v2', '-64k'],
  ['resize', 'whole-v2', '+64k'],
  ['resize', '--shrink', 'odd', '100k'],
  ['resize', 'odd', '130k'],
  // Files.
  ['resize', 'nofile', '1M'],
  ['resize', 'nofile', 'x'],
  ['resize', '', '1M'],
  ['resize', '-f', 'foo', DISK, '1M'],
  ['resize', '-f', 'qcow2', 'raw', '1M'],
  // Raw disks.
  ['resize', 'raw', '1M'],
  ['resize', '-f', 'raw', 'raw', '1M'],
  ['resize', '-f', 'raw', 'raw', '1000000'],
  ['resize', '-f', 'raw', 'raw', '+1'],
  ['resize', '-f', 'raw', 'raw', '5000'],
  ['resize', '-f', 'raw', '--shrink', 'raw', '5000'],
  ['resize', '-f', 'raw', '--shrink', 'raw', '-5000'],
  ['resize', '-f', 'raw', '--shrink', 'raw', '-1k'],
  ['resize', '-f', 'raw', 'raw', '100'],
  ['resize', '-f', 'raw', '-q', 'raw', '7E'],
  ['resize', '-f', 'raw', '--preallocation=metadata', 'raw', '1M'],
  ['resize', '-f', 'raw', '--preallocation=falloc', 'raw', '1M'],
  ['resize', '-f', 'raw', '--preallocation=full', 'raw', '3000001'],
  ['resize', '-f', 'raw', '--preallocation=full', 'raw', '100'],
];

/** Command lines on which they differ, and what shows it. */
const DIFFERENT: readonly DifferentLine[] = [
  ['own-help', 'resize', '-h', 'x'],
  ['other-formats', 'resize', '-f', 'vdi', DISK, '1M'],
  ['other-protocols', 'resize', 'nbd:foo', '1M'],
  ['devices-refused', 'resize', '/dev/null', '1M'],
  ['dirty-refused', 'resize', 'dirty.qcow2', '+1M'],
  ['damage-refused', 'resize', 'refcount-zero.qcow2', '+1M'],
  ['backing-never-opened', 'resize', 'backing-missing.qcow2', '+1M'],
  ['no-key-needed', 'resize', 'aes.qcow2', '+1M'],
  ['backing-content-needed', 'resize', 'odd', '+64k'],
  ['bitmap-too-long', 'resize', 'fine-bitmap', '4T'],
  ['data-file-not-resized', 'resize', 'data-file.qcow2', '+1M'],
];

/** What was not done has left no trace; what was, the same size, the same disk, no findings. */
async function expectSameFiles(pair: EditedPair, argv: readonly string[]): Promise<void> {
  for (const file of readdirSync(template)) {
    const [theirs, ours] = madeByBoth(pair, file);
    const before = readFileSync(path.join(template, file));
    const isMeant = argv.some((argument) => argument.endsWith(file));
    if (pair.ours.code !== 0 || !isMeant || file === 'raw') {
      const expected = pair.ours.code === 0 ? readFileSync(theirs) : before;
      expect(readFileSync(ours).equals(expected), file).toBe(true);
      continue;
    }
    expect(diskBytes(ours)).toBe(diskBytes(theirs));
    // Strict: the same stretches are allocated. Whether the host has room for them is another matter.
    const strict = argv.includes('--preallocation=metadata') || file === 'short' ? [] : ['-s'];
    await expectIdentical(theirs, ours, strict);
    expect(await bitmapsOf(ours)).toEqual(await bitmapsOf(theirs));
    await expectClean(ours);
  }
}

/** The bitmaps of an image, and which header extensions it has. */
async function bitmapsOf(image: string): Promise<unknown> {
  const bytes = readFileSync(image);
  const { extensions } = await openImage(memoryDevice(bytes));
  return [plainBitmaps(bytes), extensions.map(({ kind }) => kind).sort()];
}

/** The size that the header says. */
function diskBytes(image: string): bigint {
  return readFileSync(image).readBigUInt64BE(24);
}

describeWithQemu('resize', () => {
  beforeAll(makeTemplate);

  const run = (argv: readonly string[]) => editBoth(argv, temporaryDirectory(), setUp);
  // Before 10.1 the last argument is the size, whatever it looks like.
  const help = [
    ['resize', '-h'],
    ['resize', '--help'],
  ];
  const { namedOptions } = behaviour();
  testEqual(namedOptions ? EQUAL : [...EQUAL, ...help], run, expectSameFiles);
  const told = namedOptions ? help.map((argv): DifferentLine => ['own-help', ...argv]) : [];
  testDifferent([...DIFFERENT, ...told], run);

  test('preallocated disks take room on the medium', async () => {
    for (const mode of ['falloc', 'full']) {
      for (const file of [DISK, 'raw']) {
        const argv = ['resize', `--preallocation=${mode}`, file, '+9M'];
        const { ourDirectory } = await editBoth(argv, temporaryDirectory(), setUp);
        const { blocks } = statSync(path.join(ourDirectory, file));
        expect(blocks * 512, `${mode} ${file}`).toBeGreaterThanOrEqual(9 * 2 ** 20);
      }
    }
  });
});
