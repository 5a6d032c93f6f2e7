/** `dd`: the same words as QEMU's, and the same disk. */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { spoilFirstCompressed } from '../support/spoiled-cluster.js';
import {
  describeWithQemu,
  expectClean,
  expectIdentical,
  qemuImg,
  qemuIo,
} from '../support/qemu.js';
import { testDifferent, testEqual } from './parity-lines.js';
import { behaviour, editBoth, madeByBoth, ourOutcome, type EditedPair } from './parity.js';

const IO = ['if=raw', 'of=out'];
const toQcow2 = (...args: readonly string[]) => ['dd', '-O', 'qcow2', ...args];

const LINES: readonly (readonly string[])[] = [
  ...[
    [],
    ['if=raw'],
    ['of=out'],
    ['-f', 'raw'],
    [...IO, 'foo'],
    [...IO, 'foo=1'],
    ['=3', ...IO],
    ['seek=1', ...IO],
    ['--=3', ...IO],
    ['-x', ...IO],
    ['--frmt=3', ...IO],
    [...IO, '-f'],
    IO,
    ['-U', ...IO],
    ['--', ...IO],
    ['if=raw', 'of=old'],
    ['if=raw', 'if=disk', 'of=out'],
    ['if=disk', 'of=out'],
    ['if=over', 'of=out'],
    ['-f', 'qcow2', 'if=disk', 'of=out'],
    ['-f', 'raw', 'if=disk', 'of=out'],
    ['-f', 'foo', 'if=disk', 'of=out'],
    ['-f', 'qcow2', ...IO],
    ['--image-opts', 'if=driver=qcow2,file.filename=disk', 'of=out'],
    ['--image-opts', '-f', 'raw', 'if=driver=qcow2,file.filename=disk', 'of=out'],
    ['-O', 'foo', ...IO],
    ['-O', 'foo', 'if=none', 'of=out'],
    ['if=none', 'of=out'],
    ['if=', 'of=out'],
    ['if=raw', 'of='],
    ['if=raw', 'of=none/out'],
    ['if=raw', 'of=.'],
    ['if=raw', 'of=foo:x'],
    ['--object', 'secret,id=s', ...IO],
  ].map((args) => ['dd', ...args]),
  ...[
    '0',
    'x',
    '',
    '-1',
    '1.5',
    '1.5k',
    '0x200',
    '3000000000',
    '2147483648',
    '2147483647',
    '10E',
    '99E',
  ].map((bs) => ['dd', `bs=${bs}`, ...IO]),
  ...[
    '0',
    'x',
    '-1',
    '-0',
    '3k',
    '1.5k',
    '0x10',
    '010',
    '08',
    '9223372036854775808',
    ' 7',
    '+7',
  ].flatMap((count) => [
    ['dd', 'bs=16', `count=${count}`, ...IO],
    ['dd', 'bs=16', `skip=${count}`, ...IO],
  ]),
  ['dd', 'bs=999', 'count=3', ...IO],
  ['dd', 'bs=1k', 'count=3', 'skip=2', ...IO],
  ['dd', 'bs=1k', 'count=3', 'skip=3', ...IO],
  ['dd', 'bs=1k', 'count=3', 'skip=4', ...IO],
  ['dd', 'bs=7', 'skip=3', 'count=100', ...IO],
  ['dd', 'bs=1M', 'skip=1', ...IO],
  ['dd', 'skip=9223372036854775807', ...IO],
  toQcow2(...IO),
  toQcow2('if=disk', 'of=old'),
  toQcow2('bs=1000', 'count=200', 'if=disk', 'of=out'),
  toQcow2('bs=64k', 'skip=3', 'if=disk', 'of=out'),
  toQcow2('bs=1k', 'skip=5', 'if=over', 'of=out'),
  toQcow2('bs=7', 'count=0', 'skip=3', ...IO),
  toQcow2('if=raw', 'of=none/out'),
  // The words for long options are those of newer versions.
  ...(behaviour().namedOptions
    ? [['dd', '--format', 'raw', '--output-format', 'qcow2', '--force-share', ...IO]]
    : []),
];

function expectSame(pair: EditedPair, argv: readonly string[]): Promise<void> | void {
  const name = argv.includes('of=old') ? 'old' : 'out';
  const [theirs, ours] = madeByBoth(pair, name);
  expect(existsSync(ours)).toBe(existsSync(theirs));
  if (pair.ours.code !== 0 || !existsSync(ours)) return;
  if (argv.some((word) => /qcow2$/.test(word) && argv.some((one) => /^-O|^--output-f/.test(one)))) {
    return expectSameImage(theirs, ours);
  }
  expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
}

async function expectSameImage(theirs: string, ours: string): Promise<void> {
  await expectIdentical(theirs, ours);
  await expectClean(ours);
}

const template = path.join(memoryDirectory(), 'template');
const at = (name: string): string => path.join(template, name);
const both = (argv: readonly string[]) =>
  editBoth(argv, memoryDirectory(), (directory) => {
    cpSync(template, directory, { recursive: true });
  });

describeWithQemu('dd', () => {
  beforeAll(async () => {
    mkdirSync(template);
    const bytes = Uint8Array.from({ length: 300_100 }, (_, i) => (i * 7919) >>> 8);
    writeFileSync(at('raw'), bytes);
    writeFileSync(at('old'), Buffer.alloc(400_000, 'old'));
    await qemuImg(['create', '-q', '-f', 'qcow2', at('disk'), '1M']);
    await qemuIo(at('disk'), ['write -P 1 100k 200k', 'write -P 2 700k 1k']);
    const over = ['-b', 'disk', '-F', 'qcow2', 'over', '1M'];
    await qemuImg(['create', '-q', '-f', 'qcow2', ...over], { cwd: template });
    await qemuIo(at('over'), ['write -P 3 150k 3k', 'write -z 200k 64k']);
    await qemuImg(['convert', '-c', '-O', 'qcow2', at('raw'), at('packed')]);
  });

  testEqual(LINES, both, expectSame);

  testDifferent(
    [
      ['own-help', 'dd', '--help'],
      ['other-output-formats', 'dd', '-O', 'vdi', ...IO],
      ['input-never-overwritten', 'dd', 'if=raw', 'of=raw'],
    ],
    both,
  );

  test('a copy that fails leaves no file that looks like an image', async () => {
    const folder = path.join(memoryDirectory(), 'work');
    cpSync(template, folder, { recursive: true });
    spoilFirstCompressed(path.join(folder, 'packed'));
    const failed = await ourOutcome(['dd', '-O', 'qcow2', 'if=packed', 'of=out'], folder);
    expect(failed.code).toBe(1);
    expect(failed.stderr).not.toBe('');
    expect(existsSync(path.join(folder, 'out'))).toBe(false);
  });
});
