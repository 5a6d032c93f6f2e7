/**
 * `convert` to images whose clusters have their places from the beginning: preallocated ones, and such with an
 * external data file.
 */
import { cpSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { createImage } from '../support/made-images.js';
import { describeWithQemu, qemuImg, qemuIo } from '../support/qemu.js';
import { testDifferent, testEqual, type DifferentLine } from './parity-lines.js';
import { behaviour, editBoth, madeByBoth } from './parity.js';

const template = memoryDirectory();
const FILES = ['a.raw', 'a', 'base', 'over', 'kept'];

/** Data, zeros, and an end inside a cluster. */
async function makeTemplate(): Promise<void> {
  const at = (name: string): string => path.join(template, name);
  const bytes = Buffer.alloc(4_200_448);
  bytes.fill('data', 0, 2 ** 20);
  bytes.fill('more', 3 * 2 ** 20 + 7000, 3 * 2 ** 20 + 107_000);
  bytes.fill('end', bytes.length - 300);
  writeFileSync(at('a.raw'), bytes);
  await qemuImg(['convert', '-f', 'raw', '-O', 'qcow2', at('a.raw'), at('a')]);
  await createImage(['base', '4M'], template);
  await qemuIo(at('base'), ['write -P 5 0 4M']);
  await createImage(['over', '-b', 'base', '-F', 'qcow2', '4M'], template);
  await qemuIo(at('over'), ['write -P 0 64k 64k', 'write -P 1 192k 5k', 'write -z 1M 100k']);
  writeFileSync(at('kept'), Buffer.alloc(2_500_000, 'kept'));
  writeFileSync(at('hole'), '');
  truncateSync(at('hole'), 700_000);
}

function setUp(directory: string): void {
  for (const file of [...FILES, 'hole']) {
    cpSync(path.join(template, file), path.join(directory, file));
  }
}

const Q = ['-O', 'qcow2'];
const B = ['-B', 'base', '-F', 'qcow2', 'over', 'out'];
const pre = (options: string): string[] => [...Q, '-o', `preallocation=${options}`];
const data = (options = ''): string[] => [...Q, '-o', `data_file=d${options}`];

const EQUAL: readonly (readonly string[])[] = [
  [...pre('metadata'), 'a', 'out'],
  [...pre('metadata'), '-p', 'a', 'out'],
  [...pre('falloc'), 'a', 'out'],
  [...pre('full,cluster_size=512'), 'a', 'out'],
  [...pre('metadata,cluster_size=2M'), 'a', 'hole', 'out'],
  [...pre('metadata,compat=0.10,cluster_size=4k'), 'a', 'out'],
  [...pre('metadata,extended_l2=on'), 'a', 'out'],
  [...pre('full,extended_l2=on,refcount_bits=1'), 'a', 'out'],
  [...pre('metadata'), '-S', '0', 'a', 'out'],
  [...pre('metadata'), 'hole', 'out'],
  [...pre('metadata,extended_l2=on'), ...B],
  [...pre('falloc,extended_l2=on'), ...B],
  [...pre('full'), ...B],
  [...pre('metadata'), '-c', 'a', 'out'],
  [...pre('foo'), 'a', 'out'],
  [...data(), 'a', 'out'],
  [...data(',data_file_raw=on'), 'a', 'out'],
  [...data(',data_file_raw=on,extended_l2=on'), 'a', 'out'],
  [...data(',data_file_raw=on,cluster_size=512'), 'a', 'out'],
  [...data(',preallocation=metadata'), 'a', 'hole', 'out'],
  [...data(',preallocation=full,extended_l2=on'), 'a', 'out'],
  [...data(',data_file_raw=on'), '-S', '0', 'a', 'out'],
  [...data(), ...B],
  [...data(',extended_l2=on,preallocation=metadata'), ...B],
  [...data(',data_file_raw=on'), ...B],
  [...data(',compat=0.10'), 'a', 'out'],
  [...Q, '-o', 'data_file_raw=on', 'a', 'out'],
  [...Q, '-o', 'data_file=nodir/d', 'a', 'out'],
  [...Q, '-o', 'data_file=a', 'a', 'out'],
  [...Q, '-o', 'keep_data_file=on', 'a', 'out'],
  [...Q, '-o', 'data_file=kept,keep_data_file=on', 'a', 'out'],
  [...Q, '-o', 'data_file=kept,keep_data_file=on,preallocation=full', 'a', 'out'],
];

const DIFFERENT: readonly DifferentLine[] = [
  ['packed-beside', ...data(), '-c', 'a', 'out'],
  ['own-data-file', ...Q, '-o', 'data_file=out', 'a', 'out'],
];

/** QEMU looks for a data file in the folder where it is called. */
const said = async (cwd: string, ...argv: readonly string[]): Promise<string> =>
  (await qemuImg(argv, { cwd })).stdout;

/** How many clusters have a place, in words; all is right. */
async function allocatedIn(directory: string): Promise<string | undefined> {
  const told = await said(directory, 'check', 'out');
  expect(told).toContain('No errors were found');
  return /^\d+\/\d+ =/m.exec(told)?.[0];
}

async function contentOf(directory: string): Promise<Buffer> {
  await said(directory, 'convert', '-f', 'qcow2', '-O', 'raw', 'out', 'read');
  return readFileSync(path.join(directory, 'read'));
}

async function optionsOf(directory: string): Promise<unknown> {
  const info = JSON.parse(await said(directory, 'info', '--output=json', 'out')) as Info;
  return [info['virtual-size'], info['format-specific'], info['backing-filename']];
}

interface Info {
  readonly 'virtual-size': number;
  readonly 'format-specific': unknown;
  readonly 'backing-filename'?: string;
}

describeWithQemu('convert to clusters that have their places', () => {
  beforeAll(makeTemplate);
  const run = (argv: readonly string[]) => editBoth(['convert', ...argv], memoryDirectory(), setUp);

  testEqual(EQUAL, run, async (pair, argv) => {
    if (pair.ours.code !== 0) {
      expect(existsSync(path.join(pair.ourDirectory, 'out'))).toBe(false);
      return;
    }
    const { qemuDirectory: theirs, ourDirectory: ours } = pair;
    const told = await allocatedIn(ours);
    // `preallocation-kept`
    const isKept = argv.includes('-B') && argv.join().includes('preallocation');
    expect(told).toBe(isKept ? '64/64 =' : await allocatedIn(theirs));
    expect(await optionsOf(ours)).toEqual(await optionsOf(theirs));
    expect((await contentOf(ours)).equals(await contentOf(theirs))).toBe(true);
    const [theirData, ourData] = madeByBoth(pair, 'd');
    if (!existsSync(theirData)) return;
    expect(statSync(ourData).size).toBe(statSync(theirData).size);
    const isRaw = argv.join().includes('data_file_raw');
    if (isRaw) expect(readFileSync(ourData).equals(readFileSync(theirData))).toBe(true);
  });
  testDifferent(DIFFERENT, run);

  // `create-keeps-file`
  test('what is refused leaves an old data file as it was', async () => {
    const argv = [...Q, '-o', 'data_file=kept,compat=0.10', 'a', 'out'];
    const pair = await run(argv);
    expect(pair.ours).toEqual(pair.qemu);
    const [theirs, ours] = madeByBoth(pair, 'kept');
    expect(readFileSync(ours).equals(readFileSync(path.join(template, 'kept')))).toBe(true);
    expect(existsSync(theirs)).toBe(false);
  });

  // `kept-data-file-zeros`
  test.each(['data_file_raw=on', 'preallocation=metadata'])(
    'a data file that is kept (%s) gets zeros as well',
    async (option) => {
      const argv = [...Q, '-o', `data_file=kept,keep_data_file=on,${option}`, 'a', 'out'];
      const pair = await run(argv);
      expect(pair.ours).toEqual(pair.qemu);
      if (!behaviour().keepDataFile) return;
      await allocatedIn(pair.ourDirectory);
      const right = readFileSync(path.join(template, 'a.raw'));
      expect((await contentOf(pair.ourDirectory)).equals(right)).toBe(true);
      expect((await contentOf(pair.qemuDirectory)).equals(right)).toBe(false);
    },
  );
});
