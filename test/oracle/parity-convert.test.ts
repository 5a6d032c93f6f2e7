import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { copyCompanions, copyFixture, fixtureNames } from '../support/fixture.js';
import { memoryDirectory } from '../support/directories.js';
import { createImage } from '../support/made-images.js';
import { spoilFirstCompressed } from '../support/spoiled-cluster.js';
import {
  describeWithQemu,
  expectClean,
  expectIdentical,
  qemuImg,
  qemuIo,
} from '../support/qemu.js';
import { differencesOf } from './parity-differences.js';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import { infoOf, mapOf } from './image-facts.js';
import { editBoth, type EditedPair, madeByBoth } from './parity.js';
import { oneIn } from '../support/left-out.js';

const SECRET = ['--object', 'secret,id=s,data=abc'];
const LUKS = 'driver=qcow2,file.filename=luks,encrypt.key-secret=s';
const PLAIN = 'driver=qcow2,file.filename=a';

/** Every file that the command lines name, made once. */
const template = memoryDirectory();
const at = (name: string): string => path.join(template, name);

async function makeTemplate(): Promise<void> {
  const create = (name: string, ...rest: readonly string[]) =>
    createImage([name, ...rest], template);
  await create('a', '5M');
  await qemuIo(at('a'), ['write -P 7 64k 128k', 'write -P 9 3M 70k', 'write -z 4M 512k']);
  await qemuImg(['snapshot', '-c', 'one', at('a')]);
  await qemuIo(at('a'), ['write -P 8 100k 3k', 'write -P 0 192k 64k', 'write -P 1 256k 5000']);
  await qemuImg(['snapshot', '-c', '1', at('a')]);
  await qemuImg(['convert', '-O', 'qcow2', '-c', at('a'), at('packed')]);
  await qemuImg(['convert', '-O', 'raw', at('a'), at('a.raw')]);
  await qemuImg(['convert', '-O', 'qcow2', '-c', at('a'), at('torn')]);
  spoilFirstCompressed(at('torn'));
  await create('base', '4M');
  await qemuIo(at('base'), ['write -P 5 0 4M']);
  await create('over', '-b', 'base', '-F', 'qcow2');
  const changes = ['write -P 0 64k 64k', 'write -P 1 192k 64k', 'write -P 0 200k 16k'];
  await qemuIo(at('over'), [...changes, 'write -z 300k 100k', 'write -P 0 500k 20k']);
  await create('short', '512k');
  await create('over-short', '-b', 'short', '-F', 'qcow2', '4M');
  await qemuIo(at('over-short'), ['write -P 3 64k 64k', 'write -P 4 2M 64k']);
  await create('target', '5M');
  await create('target-long', '8M');
  await create('target-old', '-o', 'compat=0.10', '5M');
  await create('target-4k', '-o', 'cluster_size=4k,lazy_refcounts=on,refcount_bits=32', '6M');
  await create('target-small', '1M');
  await create('target-over', '-b', 'base', '-F', 'qcow2', '8M');
  const locked = 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10';
  await qemuImg(['convert', '-O', 'qcow2', ...SECRET, '-o', locked, at('a'), at('luks')]);
  writeFileSync(at('raw-target'), Buffer.alloc(5 * 2 ** 20, 'old'));
  writeFileSync(at('raw-longer'), Buffer.alloc(6 * 2 ** 20, 'old'));
  writeFileSync(at('odd'), Buffer.alloc(5001, 'odd'));
  writeFileSync(at('no-bytes'), '');
  writeFileSync(at('hole'), '');
  truncateSync(at('hole'), 300_000);
  for (const file of readdirSync(template)) stamps.set(file, stampOf(at(file)));
}

/** What is opened along with a file. */
const BELOW: Readonly<Record<string, string>> = {
  over: 'base',
  'over-short': 'short',
  'target-over': 'base',
};

/**
 * Makes every file of the template: copies of those that the command line names, which a tool may
 * write to, and links to the others, which nobody is to touch.
 */
function setUpFor(argv: readonly string[]): (directory: string) => void {
  const words = new Set(argv.flatMap((argument) => argument.split(/[=,:]/)));
  const named = new Set([...words].flatMap((word) => [word, BELOW[word] ?? word]));
  return (directory) => {
    for (const file of readdirSync(template)) {
      const copy = path.join(directory, file);
      if (named.has(file)) cpSync(at(file), copy);
      else linkSync(at(file), copy);
    }
  };
}

/** A file of the template as it was made: what writes to a link changes it. */
const stampOf = (file: string): string => {
  const { ino, size, mtimeNs } = statSync(file, { bigint: true });
  return `${ino} ${size} ${mtimeNs}`;
};
const stamps = new Map<string, string>();

const Q = ['-O', 'qcow2'];

/** Command lines on which both tools agree to the byte, and in the disk that they make. */
const EQUAL: readonly (readonly string[])[] = [
  // The command line.
  [],
  ['a'],
  ['-x', 'a', 'out'],
  ['-O'],
  ['-C', '-c', 'a', 'out'],
  ['-C', '-S', '4k', 'a', 'out'],
  ['-C', '--salvage', 'a', 'out'],
  ['-C', '-c', '-S', '4k', '--salvage', 'a', 'out'],
  ['-C', '-c', '--target-image-opts'],
  ['--target-image-opts', 'a', 'out'],
  ['--target-image-opts', '-n', '-O', 'raw', 'a', 'out'],
  ['--target-image-opts', '-o', 'foo', '-n', '--target-is-zero'],
  ['--target-is-zero', 'a', 'out'],
  ['--target-', '-n', 'a', 'out'],
  ['-n', '-o', 'size=1', 'a', 'out'],
  ['-n', '--target-is-zero', '-T', 'foo'],
  ['-o', ''],
  ['-o', ',', 'a', 'out'],
  ['-o', 'cluster_size=4k,', 'a', 'out'],
  ['-o', 'help'],
  ['-o', 'help', 'a', 'out'],
  [...Q, '-o', 'help'],
  [...Q, '-o', 'foo', '-o', 'help', 'a', 'out'],
  ['-O', 'foo', '-o', 'help'],
  ['-o', 'help', '--target-is-zero'],
  ['-S', 'foo', 'a', 'out'],
  ['-S', '', 'a', 'out'],
  ['-S', '-1', 'a', 'out'],
  ['-S', '100', 'a', 'out'],
  ['-S', '17M', 'a', 'out'],
  ['-S', '8E', 'a', 'out'],
  ['-S', '16E', 'a', 'out'],
  ['-S', '0x1k', 'a', 'out'],
  ['-m', '0', 'a', 'out'],
  ['-m', '17', 'a', 'out'],
  ['-m', 'foo', 'a', 'out'],
  ['-m', '', 'a', 'out'],
  ['-m', '4k', 'a', 'out'],
  ['-m', '020', 'a', 'out'],
  ['-m', '0x10', 'a', 'out'],
  ['-m', '99999999999999999999', 'a', 'out'],
  ['-r', 'foo', 'a', 'out'],
  ['-r', '8E', 'a', 'out'],
  ['-r', '1G', '-W', '-m', '4', 'a', 'out'],
  ['-T', 'foo', 'a', 'out'],
  ['-T', 'foo', 'nosuch', 'out'],
  ['-T', 'none', '-t', 'directsync', 'a', 'out'],
  ['-f', 'foo', 'a', 'out'],
  ['-f', 'foo', '-O', 'bar', 'a', 'out'],
  ['--image-opts', '-f', 'raw', 'a', 'out'],
  ['--image-opts', 'a', 'out'],
  ['--object', 'secret', 'a', 'out'],
  ['-O', 'foo', 'a', 'out'],
  ['-O', '', 'a', 'out'],
  ['-O', 'foo', 'nosuch', 'out'],
  // Files.
  ['nosuch', 'out'],
  ['a', 'nodir/out'],
  ['-q', 'a', 'nodir/out'],
  ['a', ''],
  ['a', 'foo:out'],
  ['a', 'file:out'],
  ['a', 'a'],
  [...Q, 'a.raw', 'a.raw'],
  ['over', 'base'],
  ['-n', ...Q, 'target', 'target'],
  // Which snapshot.
  ['-l', 'nosuch', 'a', 'out'],
  ['-l', '', 'a', 'out'],
  ['-l', 'one', 'a', 'out'],
  ['-l', '2', ...Q, 'a', 'out'],
  ['-l', 'snapshot.id=1', 'a', 'out'],
  ['-l', 'snapshot.id=3', 'a', 'out'],
  ['-l', 'snapshot.name=1', 'a', 'out'],
  ['-l', 'snapshot.name=one,snapshot.id=1', 'a', 'out'],
  ['-l', 'snapshot.name=one,snapshot.id=2', 'a', 'out'],
  ['-l', 'snapshot.id=', 'a', 'out'],
  ['-l', 'snapshot.id', 'a', 'out'],
  ['-l', 'snapshot.foo=1', 'a', 'out'],
  ['-l', 'snapshot.', 'a', 'out'],
  ['-l', 'snapshot.id=1,id=9', 'a', 'out'],
  ['-l', 'snapshot.id=1,id=x', '-l', 'snapshot.id=1,id=x', 'a', 'out'],
  ['-l', 'snapshot.id=1,nofoo', 'a', 'out'],
  ['-l', 'one', '-l', 'snapshot.id=77', 'a', 'out'],
  ['-l', 'one', 'a.raw', 'out'],
  ['-l', 'one', 'a', 'a', 'out'],
  ['-l', 'snapshot.name=one', 'a', 'a', 'out'],
  // Options of the new image.
  [...Q, '-o', 'foo=3', 'a', 'out'],
  [...Q, '-o', 'size=foo', 'a', 'out'],
  [...Q, '-o', 'size=3M', 'a', 'out'],
  [...Q, '-o', 'cluster_size=3k', 'a', 'out'],
  [...Q, '-o', 'compat=foo', 'a', 'out'],
  [...Q, '-o', 'lazy_refcounts=foo', 'a', 'out'],
  [...Q, '-o', 'lazy_refcounts=on,compat=0.10', 'a', 'out'],
  [...Q, '-o', 'lazy_refcounts', '-o', 'cluster_size=64k,refcount_bits=1', 'a', 'out'],
  [...Q, '-o', 'compat=0.10', 'a', 'out'],
  [...Q, '-o', 'cluster_size=4k', 'a', 'out'],
  [...Q, '-o', 'extended_l2=on', 'a', 'out'],
  [...Q, '-o', 'extended_l2=on', '-S', '0', 'odd', 'out'],
  [...Q, '-c', '-o', 'extended_l2=on', 'a', 'out'],
  [...Q, '-B', 'base', '-F', 'qcow2', '-o', 'extended_l2=on', 'over', 'out'],
  [...Q, '-o', 'cluster_size=2M,refcount_bits=64', 'a', 'out'],
  ['-o', 'cluster_size=4k', 'a', 'out'],
  ['-o', 'preallocation=foo', 'a', 'out'],
  ['-o', 'preallocation=full', 'a', 'out'],
  [...Q, '-c', '-o', 'preallocation=full', 'a', 'out'],
  [...Q, '-c', '-o', 'encryption=on', 'a', 'out'],
  // The copy.
  ['a', 'out'],
  ['-U', 'a', 'out'],
  ['-p', 'a', 'out'],
  ['-pq', 'a', 'out'],
  ['-p', ...Q, 'packed', 'out'],
  ['-p', '-S', '0', 'a', 'out'],
  ['-p', 'no-bytes', 'out'],
  ['-p', 'hole', 'out'],
  [...Q, 'no-bytes', 'out'],
  [...Q, 'odd', 'out'],
  ['odd', 'out'],
  [...Q, '-S', '0', 'a', 'out'],
  [...Q, '-S', '512', 'a', 'out'],
  [...Q, '-S', '1M', 'a', 'out'],
  [...Q, '-c', 'a', 'out'],
  ['-p', ...Q, '-c', 'a', 'out'],
  [...Q, '-c', '-S', '0', 'a', 'out'],
  [...Q, '-c', '-o', 'compression_type=zstd', 'a', 'out'],
  ['-c', 'a', 'out'],
  ['--salvage', 'a', 'out'],
  ['--salvage', 'torn', 'out'],
  ['--salvage', '-q', ...Q, 'torn', 'out'],
  ['-C', 'a', 'out'],
  ['a', 'odd', 'a.raw', 'out'],
  [...Q, 'odd', 'a', 'hole', 'out'],
  ['over', 'out'],
  [...Q, 'over-short', 'out'],
  ['--image-opts', ...SECRET, LUKS, 'out'],
  ['--image-opts', LUKS, 'out'],
  ['--image-opts', PLAIN, 'driver=raw,file.filename=a.raw', 'out'],
  // Over a backing file.
  ['-B', 'foo', 'a', 'out'],
  ['-F', 'qcow2', 'a', 'out'],
  [...Q, '-B', 'foo', 'a', 'out'],
  [...Q, '-B', '', 'a', 'out'],
  [...Q, '-F', 'qcow2', 'a', 'out'],
  [...Q, '-F', 'foo', 'a', 'out'],
  [...Q, '-B', 'base', '-F', 'foo', 'over', 'out'],
  [...Q, '-B', 'base', '-F', 'qcow2', 'a', 'over', 'out'],
  [...Q, '-B', 'base', '-F', 'qcow2', 'over', 'out'],
  [...Q, '-B', 'base', '-F', 'qcow2', '-c', 'over', 'out'],
  [...Q, '-B', 'base', '-F', 'qcow2', '-S', '0', 'over', 'out'],
  [...Q, '-o', 'backing_file=base,backing_fmt=qcow2,cluster_size=4k', 'over', 'out'],
  [...Q, '-o', 'backing_file=base,backing_fmt=qcow2,compat=0.10', 'over', 'out'],
  [...Q, '-B', 'base', '-F', 'qcow2', 'a', 'out'],
  [...Q, '-B', 'short', '-F', 'qcow2', 'over-short', 'out'],
  // Onto what is there.
  ['-n', 'a', 'out'],
  ['-n', '-O', 'foo', 'a', 'target'],
  ['-n', 'a', 'raw-target'],
  ['-n', 'a', 'raw-longer'],
  ['-n', '-S', '0', 'a', 'raw-longer'],
  ['-n', 'a', 'odd'],
  ['-n', ...Q, 'a', 'target'],
  ['-n', '-p', ...Q, 'a', 'target-long'],
  ['-n', '-c', ...Q, 'a', 'target'],
  ['-n', ...Q, 'odd', 'target'],
  ['-n', '-S', '0', ...Q, 'odd', 'target'],
  ['-n', '-S', '0', ...Q, 'a', 'target-long'],
  ['-n', '--target-is-zero', ...Q, 'a', 'target-4k'],
  ['-n', ...Q, 'a', 'target-old'],
  ['-n', ...Q, 'a', 'target-small'],
  ['-n', ...Q, 'a', 'target-over'],
  ['-n', '--target-image-opts', 'a', 'driver=qcow2,file.filename=target'],
  ['-t', 'foo', '-n', '-c', 'a', 'raw-target'],
];

/** Command lines on which they differ, and what shows it. */
const DIFFERENT: readonly DifferentLine[] = [
  ['own-help', '-h'],
  ['other-formats', '-f', 'vdi', 'a', 'out'],
  ['other-output-formats', '-O', 'vdi', 'a', 'out'],
  ['other-protocols', 'nbd:foo', 'out'],
  ['other-protocols', 'a', 'nbd:foo'],
  ['devices-refused', 'a', '/dev/null'],
  ['zero-with-backing', '-n', '--target-is-zero', '-B', 'x', ...Q, 'a', 'target'],
  // A snapshot of this id, and one of this name.
  ['two-meanings-refused', '-l', '1', 'a', 'out'],
  ['packed-end', '-n', '-c', ...Q, 'odd', 'target'],
];

/** What a command line was to write; undefined where it names no file. */
function outputOf(argv: readonly string[]): string | undefined {
  return argv.at(-1)?.replace(/^file:|^.*file\.filename=/, '');
}

async function expectSameOutput(pair: EditedPair, argv: readonly string[]): Promise<void> {
  const output = outputOf(argv)!;
  const [theirs, ours] = madeByBoth(pair, output);
  const isQcow2 = argv[argv.indexOf('-O') + 1] === 'qcow2' || argv.includes('--target-image-opts');
  if (!isQcow2) {
    expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
    return;
  }
  await expectIdentical(theirs, ours);
  await expectClean(ours);
  const [ourInfo, theirInfo, ourMap, theirMap] = await Promise.all([
    ...[ours, theirs].map(infoOf),
    ...[ours, theirs].map(mapOf),
  ]);
  expect(ourInfo).toEqual(theirInfo);
  expect(ourMap).toEqual(theirMap);
}

/** Nothing but the output has changed. */
function expectOthersUntouched(pair: EditedPair, argv: readonly string[]): void {
  for (const file of readdirSync(pair.ourDirectory)) {
    if (pair.ours.code === 0 && file === outputOf(argv)) continue;
    const isKnown = existsSync(at(file));
    expect(isKnown, file).toBe(true);
    expect(stampOf(at(file)), file).toBe(stamps.get(file));
    const left = path.join(pair.ourDirectory, file);
    if (stampOf(left) === stamps.get(file)) continue;
    expect(readFileSync(left).equals(readFileSync(at(file))), file).toBe(true);
  }
}

describeWithQemu('convert', () => {
  beforeAll(makeTemplate);

  const run = (argv: readonly string[]) =>
    editBoth(['convert', ...argv], memoryDirectory(), setUpFor(argv));
  testEqual(EQUAL, run, async (pair, argv) => {
    expectOthersUntouched(pair, argv);
    const isCopy = pair.ours.code === 0 && !argv.includes('help');
    if (isCopy) await expectSameOutput(pair, argv);
  });
  testDifferent(DIFFERENT, run, (pair, argv, name) => {
    if (name !== 'own-help') expectOthersUntouched(pair, argv);
  });

  test.each(['2M', '9M'])('a snapshot has the size it had, not the %s of today', async (size) => {
    const resized = (directory: string): void => {
      setUpFor(['out'])(directory);
      cpSync(at('packed'), path.join(directory, 'resized'));
      execFileSync('qemu-img', ['snapshot', '-c', 'before', 'resized'], { cwd: directory });
      execFileSync('qemu-img', ['resize', '-q', '--shrink', 'resized', size], { cwd: directory });
    };
    const argv = ['convert', '-l', 'before', 'resized', 'out'];
    const pair = await editBoth(argv, memoryDirectory(), resized);
    expect(pair.ours).toEqual(pair.qemu);
    const ours = readFileSync(path.join(pair.ourDirectory, 'out'));
    expect(ours.equals(readFileSync(at('a.raw')))).toBe(true);
    expect(readFileSync(path.join(pair.qemuDirectory, 'out')).length).not.toBe(ours.length);
  });

  test('with -U, too, no input is overwritten', async () => {
    const argv = ['convert', '-U', 'over', 'base'];
    const pair = await editBoth(argv, memoryDirectory(), setUpFor(argv));
    expect(differencesOf(pair)).toEqual(['input-never-overwritten']);
    expectOthersUntouched(pair, []);
  });
});

describeWithQemu('convert, on every fixture', () => {
  test.each(oneIn(5, fixtureNames()))('%s', async (name) => {
    const makeFixture = (directory: string): void => {
      copyFixture(name, directory);
      copyCompanions(name, directory);
    };
    for (const format of ['raw', 'qcow2']) {
      const argv = ['-O', format, `${name}.qcow2`, 'out'];
      const pair = await editBoth(['convert', ...argv], memoryDirectory(), makeFixture);
      if (pair.qemu.code !== 0 || name === 'qcow-version-1') {
        expect(pair.ours.code, JSON.stringify(pair)).not.toBe(0);
        expect(existsSync(path.join(pair.ourDirectory, 'out'))).toBe(false);
        continue;
      }
      expect(pair.ours).toEqual(pair.qemu);
      await expectSameOutput(pair, argv);
    }
  });
});
