import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/directories.js';
import { createImage } from '../support/made-images.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { cpSync } from 'node:fs';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import { editBoth, type EditedPair, madeByBoth } from './parity.js';

/** Every file that the command lines name, made once. */
const template = temporaryDirectory();
const OLD_CONTENT = 'what was there before\n'.repeat(5000);

async function makeTemplate(): Promise<void> {
  await createImage(['base', '10M'], template);
  await qemuImg(['create', '-q', '-f', 'raw', 'odd', '1000'], { cwd: template });
  writeFileSync(path.join(template, 'odd'), Buffer.alloc(1000));
  writeFileSync(path.join(template, 'old'), OLD_CONTENT);
}

function setUp(directory: string): void {
  cpSync(template, directory, { recursive: true });
}

const q = (...rest: readonly string[]): string[] => ['create', '-f', 'qcow2', ...rest];
const o = (options: string, ...rest: readonly string[]): string[] =>
  q('-o', options, 'x', ...(rest.length > 0 ? rest : ['1M']));
const raw = (...rest: readonly string[]): string[] => ['create', '-f', 'raw', ...rest];
const long = 'x'.repeat(1100);

/** Command lines on which both tools agree to the byte, and in what they leave. */
const EQUAL: readonly (readonly string[])[] = [
  // The command line.
  ['create'],
  ['create', 'x'],
  ['create', 'x', '1M'],
  ['create', 'x', '1M', '2M'],
  ['create', 'x', 'abc', '2M'],
  ['create', '-x'],
  ['create', '-o'],
  ['create', '-6', 'x', '1M'],
  ['create', '--quiet', 'x', '1M'],
  q('x'),
  q('x', '1M'),
  q('-q', 'x', '1M'),
  q('x', '1M', '-q'),
  ['create', '-fqcow2', '-q', 'x', '1M'],
  ['create', '-f', 'foo', 'x', '1M'],
  ['create', '-f', 'foo', 'foo:x', '1M'],
  q('--object', 'x', 'y'),
  q('--object', 'secret,id=s,data=x', 'x', '1M'),
  // Sizes.
  ...['abc', '1Z', '-1', '16E', '8E', '7E', '128P', '9007199254740991', '', '0x10k', '1.5', '1.5k']
    .concat(['0', '1', '511', '512', '513', '1000', '99999999999999999999', ' 1M', '1b', '64G'])
    .flatMap((size) => [q('x', size), raw('x', size)]),
  q('x', '--', '-1'),
  ...['1M', 'abc', '8E', '1MB', '-1', '10', ''].map((size) => q('-o', `size=${size}`, 'x')),
  q('-o', 'size=1M', 'x', '2M'),
  q('-o', 'size=1M,foo=2', 'x', '2M'),
  // Options, one by one.
  ...[
    '1000',
    '256',
    '4M',
    'abc',
    '0',
    '0x200',
    '1k',
    '-1',
    '99999999999999999999',
    '8E',
    '',
    '0x10k',
  ]
    .concat(['512', '2M', '0x10k', '64K'])
    .map((size) => o(`cluster_size=${size}`)),
  o('cluster_size'),
  ...['1', '2', '64', '3', '128', '0', 'abc', '8k', '-1', '1.5', '0x10', '010', ' 8', '+8', ''].map(
    (bits) => o(`refcount_bits=${bits}`),
  ),
  ...['0.10', 'v2', '1.1', 'v3', '0.9', '', '1.1,compat=0.10'].map((level) => o(`compat=${level}`)),
  ...['on', 'off', 'yes', 'no', 'true', 'maybe', '', 'ON', '1'].map((on) =>
    o(`lazy_refcounts=${on}`),
  ),
  o('lazy_refcounts'),
  o('nolazy_refcounts'),
  o('extended_l2=on'),
  o('extended_l2=on,cluster_size=16k'),
  o('extended_l2=on,cluster_size=8k'),
  ...['zlib', 'zstd', 'foo', ''].map((type) => o(`compression_type=${type}`)),
  ...['off', 'metadata', 'falloc', 'full', 'foo', ''].map((mode) => o(`preallocation=${mode}`)),
  o('extended_l2=on,preallocation=metadata'),
  o('foo=bar'),
  o('foo'),
  o('nofoo'),
  o('encryption=off'),
  o('nocow=off'),
  o('extent_size_hint=0'),
  o('id=foo'),
  o('cluster_size=64k,cluster_size=128k'),
  q('-o', 'cluster_size=1k', '-o', 'refcount_bits=8', 'x', '1M'),
  // Lists that are none.
  ...['a,b', ',cluster_size=64k', 'cluster_size=64k,', '', ',', '=', '=x', 'x=a,,', 'a=1,,,'].map(
    (list) => o(list),
  ),
  q('-o', 'foo', '-o', '', 'x', '1M'),
  o('foo=1', 'abc'),
  // Help.
  ...['help', '?', 'help,cluster_size=64k', 'cluster_size=64k,help', 'cluster_size=64k,?'].flatMap(
    (list) => [o(list), q('-o', list), raw('-o', list), raw('-o', list, 'x')],
  ),
  ['create', '-o', 'help'],
  ['create', '-f', 'foo', '-o', 'help', 'x'],
  q('-o', 'help', 'x', '1'),
  // What excludes each other, and which is told first.
  ...pairsOf([
    'cluster_size=3',
    'backing_fmt=raw',
    'refcount_bits=3',
    'data_file_raw=on',
    'compat=0.10,lazy_refcounts=on',
    'compat=0.10,compression_type=zstd',
    'compat=0.10,extended_l2=on',
    'compat=0.10,refcount_bits=8',
    'extended_l2=on,cluster_size=4k',
  ]).map((both) => o(both)),
  o('compat=0.10,data_file=df'),
  o('compat=0.10,data_file=df,data_file_raw=on'),
  o('compat=9,preallocation=foo'),
  o('compat=9,compression_type=foo,preallocation=bar'),
  o('cluster_size=3', '7E'),
  q('-u', '-b', 'base', '-F', 'raw', '-o', 'preallocation=full,cluster_size=3', 'x', '1M'),
  q('-u', '-b', 'base', '-F', 'raw', '-o', 'preallocation=full,refcount_bits=3', 'x', '1M'),
  q('-u', '-b', 'base', '-F', 'foo', '-o', 'preallocation=bar', 'x', '1M'),
  q('-u', '-b', 'base', '-F', 'foo', '-o', 'compat=9', 'x', '1M'),
  // Backing files.
  q('-b', 'base', '-F', 'qcow2', 'x'),
  q('-b', 'base', '-F', 'qcow2', 'x', '1M'),
  q('-b', 'base', '-F', 'raw', 'x'),
  q('-b', 'odd', '-F', 'raw', 'x'),
  q('-b', 'odd', '-F', 'qcow2', 'x'),
  q('-b', 'odd', 'x'),
  q('-b', 'base', 'x', '1M'),
  q('-F', 'raw', 'x', '1M'),
  q('-u', '-b', 'base', 'x'),
  q('-u', '-b', 'base', 'x', '1M'),
  q('-u', '-b', 'nope', '-F', 'foo', 'x', '1M'),
  q('-u', '-b', 'nope', '-F', 'raw', 'x', '1M'),
  q('-u', '-b', 'nope', '-F', 'raw', 'x'),
  q('-u', '-b', 'nope', '-F', 'vmdk', 'x', '1M'),
  q('-b', 'base', '-F', 'foo', 'x', '1M'),
  q('-b', 'nope', '-F', 'raw', 'x', '1M'),
  q('-b', 'nope', 'x', '1M'),
  q('-b', 'foo:nope', '-F', 'raw', 'x', '1M'),
  q('-b', '', 'x', '1M'),
  q('-b', 'x', '-F', 'qcow2', 'x', '1M'),
  q('-b', 'base', '-b', 'odd', '-F', 'raw', 'x', '1M'),
  q('-b', 'base', '-F', 'qcow2', '-o', 'backing_file=odd', 'x', '1M'),
  q('-b', 'base', '-F', 'qcow2', '-o', 'backing_fmt=raw', 'x', '1M'),
  q('-b', 'base', '-F', 'qcow2', '-o', 'preallocation=metadata', 'x', '1M'),
  q('-b', 'base', '-F', 'qcow2', '-o', 'extended_l2=on,preallocation=falloc', 'x'),
  q('-b', 'base', '-F', 'qcow2', '-o', 'data_file=df,data_file_raw=on', 'x'),
  q('-u', '-b', 'a b,c', '-F', 'raw', 'x', '1M'),
  q('-u', '-b', long, '-F', 'raw', 'x', '1M'),
  q('-u', '-o', 'cluster_size=512', '-b', long.slice(0, 400), '-F', 'raw', 'x', '1M'),
  o('backing_file,backing_fmt=raw'),
  ['create', '-b', 'base', '-F', 'qcow2', 'x', '1M'],
  raw('-F', 'raw', 'x', '1M'),
  raw('-o', 'size=1M', '-b', 'x', 'x', '2M'),
  // Data files.
  o('data_file=df'),
  o('data_file=df', '1000'),
  o('data_file=df,data_file_raw=on'),
  o('data_file=df,preallocation=metadata', '1000000'),
  o('data_file=df,preallocation=full'),
  o('data_file=old'),
  o('data_file='),
  o('data_file=nodir/df'),
  o('data_file=foo:df'),
  q('-b', 'base', '-F', 'qcow2', '-o', 'data_file=df', 'x'),
  // Files.
  q('old', '1M'),
  raw('old', '1M'),
  q('nodir/x', '1M'),
  q('.', '1M'),
  raw('.', '1M'),
  q('', '1M'),
  ['create', '', '1M'],
  q('foo:x', '1M'),
  q('json:x', '1M'),
  q('file:x', '1M'),
  q('a b,c', '1M'),
  // Raw disks.
  ...['off', 'falloc', 'full', 'metadata', 'foo'].map((mode) =>
    raw('-o', `preallocation=${mode}`, 'x', '1M'),
  ),
  raw('-o', 'preallocation=off,nocow=off,extent_size_hint=0', 'x', '1M'),
  raw('-o', 'cluster_size=1k', 'x', '1M'),
];

function pairsOf(options: readonly string[]): string[] {
  return options.flatMap((first, index) =>
    options.slice(index).map((second) => `${first},${second}`),
  );
}

/** Command lines on which they differ, and what shows it. */
const DIFFERENT: readonly DifferentLine[] = [
  ['own-help', 'create', '-h'],
  ['huge-numbers', ...o('cluster_size=2M', '1E')],
  ['other-formats', 'create', '-f', 'vdi', 'x', '1M'],
  ['other-formats', 'create', '-f', 'luks', 'x', '1M'],
  ['other-formats', ...q('-b', 'base', '-F', 'vmdk', 'x', '1M')],
  ['other-protocols', ...q('nbd:foo', '1M')],
  ['other-protocols', ...q('-b', 'nbd:foo', '-F', 'raw', 'x', '1M')],
  ['devices-refused', ...q('/dev/null', '1M')],
  ['file-hints-ignored', ...o('nocow=on')],
  ['file-hints-ignored', ...raw('-o', 'extent_size_hint=1M', 'x', '1M')],
];

/** After a refusal everything is as it was; else both tools made the same files. */
function expectSameFiles(pair: EditedPair): void {
  if (pair.ours.code !== 0) {
    expect(readdirSync(pair.ourDirectory)).toEqual(readdirSync(template));
    expect(readFileSync(path.join(pair.ourDirectory, 'old'), 'utf8')).toBe(OLD_CONTENT);
    return;
  }
  expect(readdirSync(pair.ourDirectory)).toEqual(readdirSync(pair.qemuDirectory));
  for (const file of readdirSync(pair.ourDirectory)) {
    const [theirs, ours] = madeByBoth(pair, file);
    const [a, b] = [statSync(theirs), statSync(ours)];
    expect(b.size, file).toBe(a.size);
    expect(b.mode, file).toBe(a.mode);
    if (a.size < 2 ** 24) expect(readFileSync(ours).equals(readFileSync(theirs)), file).toBe(true);
  }
}

describeWithQemu('create', () => {
  beforeAll(makeTemplate);

  const run = (argv: readonly string[]) => editBoth(argv, temporaryDirectory(), setUp);
  testEqual(EQUAL, run, expectSameFiles);
  testDifferent(DIFFERENT, run);

  test('create-keeps-file: what was there before stays when a new image comes to nothing', async () => {
    for (const argv of [q('-o', 'cluster_size=3', 'old', '1M'), q('old', '7E'), raw('old', '7E')]) {
      const pair = await editBoth(argv, temporaryDirectory(), setUp);
      expect(pair.ours).toEqual(pair.qemu);
      expect(readFileSync(path.join(pair.ourDirectory, 'old'), 'utf8')).toBe(OLD_CONTENT);
    }
  });

  test('room on the medium for what is preallocated', async () => {
    for (const argv of [
      o('preallocation=falloc', '9M'),
      raw('-o', 'preallocation=full', 'x', '9M'),
    ]) {
      const { ourDirectory } = await editBoth(argv, temporaryDirectory(), setUp);
      const { blocks } = statSync(path.join(ourDirectory, 'x'));
      expect(blocks * 512).toBeGreaterThanOrEqual(9 * 2 ** 20);
    }
  });
});
