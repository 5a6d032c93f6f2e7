/** `convert --bitmaps`: the words, the bitmaps of the new image, and their bits. */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { plainBitmaps } from '../support/bitmap-bits.js';
import { memoryDirectory } from '../support/directories.js';
import { createImage } from '../support/made-images.js';
import {
  describeWithQemu,
  expectClean,
  expectIdentical,
  qemuImg,
  qemuIo,
} from '../support/qemu.js';
import { differencesOf } from './parity-differences.js';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import { editBoth, madeByBoth } from './parity.js';

const template = memoryDirectory();

async function makeTemplate(): Promise<void> {
  const at = (name: string): string => path.join(template, name);
  const add = (image: string, name: string, ...how: readonly string[]) =>
    qemuImg(['bitmap', '--add', ...how, at(image), name]);
  await createImage(['a', '5M'], template);
  await add('a', 'z1', '-g', '64k');
  await add('a', 'a2');
  await add('a', 'd3', '--disable', '-g', '512');
  await qemuIo(at('a'), ['write -P 3 1M 300k', 'write -P 4 4M 5k']);
  await qemuImg(['snapshot', '-c', 's', at('a')]);
  const bytes = readFileSync(at('a'));
  // The flags of the first entry of the directory say that nobody has saved it.
  const extension = bytes.indexOf(Buffer.from('23852875', 'hex'));
  const directory = Number(bytes.readBigUInt64BE(extension + 24));
  bytes.writeUInt32BE(bytes.readUInt32BE(directory + 12) | 1, directory + 12);
  writeFileSync(at('broken'), bytes);
  await qemuImg(['convert', '-O', 'raw', at('a'), at('raw')]);
  await createImage(['over', '-b', 'a', '-F', 'qcow2', '6M'], template);
  await add('over', 'o1');
  await createImage(['none', '5M'], template);
  await createImage(['empty', '5M'], template);
  await createImage(['old', '-o', 'compat=0.10', '5M'], template);
  await createImage(['held', '5M'], template);
  await qemuIo(at('held'), ['write -P 9 0 2M']);
  await add('held', 'k1');
  await createImage(['long', '8M'], template);
  await add('long', 'k1');
  await createImage(['short', '3M'], template);
  await createImage(['same', '5M'], template);
  await add('same', 'a2');
}

function setUp(directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const file of readdirSync(template)) {
    cpSync(path.join(template, file), path.join(directory, file));
  }
}

const NEW = ['--bitmaps', '-O', 'qcow2'];
const OLD = ['-n', ...NEW];
const SKIP = '--skip-broken-bitmaps';

const EQUAL: readonly (readonly string[])[] = [
  [...NEW, 'a', 'out'],
  [...NEW, '-c', '-o', 'cluster_size=4k', 'a', 'out'],
  [...NEW, 'over', 'out'],
  [...NEW, 'none', 'out'],
  [...NEW, 'broken', 'out'],
  [...NEW, SKIP, 'broken', 'out'],
  [SKIP, '-O', 'qcow2', 'a', 'out'],
  [...NEW, '-o', 'compat=0.10', 'a', 'out'],
  ['--bitmaps', '-O', 'raw', 'raw', 'out'],
  ['--bitmaps', '-O', 'raw', '-t', 'foo', 'a', 'out'],
  [...NEW, '-f', 'raw', 'a', 'out'],
  [...NEW, 'a', 'a', 'out'],
  [...NEW, '-t', 'foo', 'broken', 'out'],
  [...NEW, '-t', 'foo', 'a', 'out'],
  [...NEW, '-B', 'nosuch', '-F', 'raw', 'broken', 'out'],
  [...NEW, '-f', 'raw', 'broken', 'nodir/out'],
  [...OLD, 'a', 'empty'],
  [...OLD, 'a', 'held'],
  [...OLD, 'a', 'same'],
  [...OLD, 'a', 'long'],
  [...OLD, 'a', 'short'],
  [...OLD, 'a', 'old'],
  [...OLD, 'a', 'nosuch'],
  [...OLD, '-f', 'raw', 'a', 'nosuch'],
  [...OLD, '-t', 'foo', 'broken', 'held'],
  [...OLD, SKIP, 'broken', 'held'],
  [...OLD, 'none', 'held'],
  ['-n', '--bitmaps', '-O', 'raw', 'a', 'raw'],
  ['-n', '--bitmaps', '-O', 'raw', 'a', 'a', 'raw'],
];

const DIFFERENT: readonly DifferentLine[] = [
  ['bitmaps-of-snapshot', ...NEW, '-l', 's', 'a', 'out'],
  ['bitmaps-beside', ...NEW, '-o', 'data_file=d', 'a', 'out'],
];

describeWithQemu('convert --bitmaps', () => {
  beforeAll(makeTemplate);
  const run = (argv: readonly string[]) => editBoth(['convert', ...argv], memoryDirectory(), setUp);

  testEqual(EQUAL, run, async (pair, argv) => {
    const output = argv.at(-1)!;
    const [theirs, ours] = madeByBoth(pair, output);
    if (pair.ours.code !== 0) {
      const before = path.join(template, output);
      if (!existsSync(before)) expect(existsSync(ours)).toBe(false);
      else expect(readFileSync(ours).equals(readFileSync(before))).toBe(true);
      return;
    }
    expect(plainBitmaps(readFileSync(ours))).toEqual(plainBitmaps(readFileSync(theirs)));
    await expectClean(ours);
    await expectIdentical(theirs, ours);
  });
  testDifferent(DIFFERENT, run);

  // `bitmaps-before-the-disk`
  test('bitmaps that can not be had are refused before the disk is written', async () => {
    const pair = await run([...OLD, 'a', 'same']);
    expect(differencesOf(pair)).toEqual([]);
    const [theirs, ours] = madeByBoth(pair, 'same');
    const before = readFileSync(path.join(template, 'same'));
    expect(readFileSync(ours).equals(before)).toBe(true);
    expect(readFileSync(theirs).equals(before)).toBe(false);
  });
});
