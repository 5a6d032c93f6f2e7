/** `bench`: the words of both tools, but for how long it took. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { beforeAll } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { createImage } from '../support/made-images.js';
import { describeWithQemu, qemuIo } from '../support/qemu.js';
import { testDifferent, testEqual } from './parity-lines.js';
import { behaviour, readBoth, type Outcome, type Pair } from './parity.js';

const folder = memoryDirectory();

async function makeFiles(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await createImage(['base', '1M'], folder);
  await qemuIo(path.join(folder, 'base'), ['write -P 7 64k 128k']);
  await createImage(['a', '-b', 'base', '-F', 'qcow2', '1M'], folder);
}

const timeless = (outcome: Outcome): Outcome => ({
  ...outcome,
  stdout: outcome.stdout.replace(/in \d+\.\d{3} seconds/, 'in X seconds'),
});

async function run(argv: readonly string[]): Promise<Pair> {
  const { qemu, ours } = await readBoth(['bench', ...argv], folder);
  return { qemu: timeless(qemu), ours: timeless(ours) };
}

const LINES: readonly (readonly string[])[] = [
  [],
  ['a', 'b'],
  ['nosuch'],
  ['-n', 'nosuch'],
  ['-c', '10', 'a'],
  ['-c', '10', '-d', '3', '-s', '8k', '-o', '4k', '-S', '16k', 'a'],
  ['-q', '-c', '10', 'a'],
  ['-c', '300', 'a'],
  ['-c', '300', '-o', '100', 'a'],
  ['-c', '300', '-S', '7000', 'a'],
  ['-c', '5', '-S', '0', 'a'],
  ['-c', '3', '-s', '1M', 'a'],
  ['-c', '0x10', '-s', '100', 'a'],
  ['-c', '5', '-s', '2M', 'a'],
  ['-c', '1', '-o', '1M', 'a'],
  ['-c', '5', '-o', '2M', 'a'],
  ['-c', '5', '-U', '-t', 'none', '-n', 'a'],
  ['-c', '5', '-i', 'native', 'a'],
  ['-c', '5', '-i', 'threads', '-f', 'raw', 'a'],
  ['-c', '5', '--image-opts', 'driver=qcow2,file.filename=a'],
  ['--image-opts', '-f', 'raw', 'a'],
  ['-f', 'bogus', 'a'],
  ['--pattern=3', '--no-drain', '--flush-interval=0', '-c', '1', 'a'],
  ['--flush-interval=5', 'a'],
  ['-w', '--flush-interval=5', 'a'],
  ['-t', 'bogus', '-c', 'x', 'a'],
  ['-c', 'x', '-t', 'bogus', 'a'],
  ['-c', '', 'a'],
  ['-c', '3k', 'a'],
  ['-c', '0', 'a'],
  ['-s', '0', '-c', '3', 'a'],
  ['-o', '8E', 'a'],
  ['-S', '8E', 'a'],
];

describeWithQemu('bench', () => {
  beforeAll(makeFiles);
  testEqual(LINES, run);
  testDifferent(
    [
      ['bench-writes', '-w', '-c', '1', 'a'],
      ...(behaviour().namedOptions ? [['own-help', '--help'] as const] : []),
    ],
    run,
  );
});
