/**
 * QEMU writes the first block of a new raw file, so that whoever reads it without a cache can find out by
 * it what alignment that takes. Where it holds zeros, it is data all the same.
 */
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/directories.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { editBoth } from './parity.js';

function makeInputs(directory: string): void {
  const at = (name: string): string => path.join(directory, name);
  writeFileSync(at('empty'), '');
  writeFileSync(at('hole'), '');
  truncateSync(at('hole'), 300_032);
  writeFileSync(at('short-hole'), '');
  truncateSync(at('short-hole'), 3000);
  writeFileSync(at('zeros-first'), Buffer.alloc(2 ** 20, 'data').fill(0, 0, 2 ** 18));
  writeFileSync(at('data-first'), Buffer.alloc(2 ** 20, 'data').fill(0, 2 ** 18, 2 ** 19));
}

/** What both tools made: the bytes, where they lie, and the room that they take. */
async function madeOf(directory: string, name: string) {
  const file = path.join(directory, name);
  const { stdout } = await qemuImg(['map', '--output=json', '-f', 'raw', file]);
  return { bytes: readFileSync(file).toString('latin1'), map: stdout, room: statSync(file).blocks };
}

const RAW = ['-f', 'raw'];
const CONVERT = ['convert', ...RAW, '-O', 'raw'];

describeWithQemu('the first block of a new raw file', () => {
  test.each<[name: string, made: string, ...argv: string[]]>([
    ['a copy of a hole', 'out', ...CONVERT, 'hole', 'out'],
    ['a copy of a short hole', 'out', ...CONVERT, 'short-hole', 'out'],
    ['a copy of nothing', 'out', ...CONVERT, 'empty', 'out'],
    ['a copy that begins with zeros', 'out', ...CONVERT, 'zeros-first', 'out'],
    ['a copy that begins with data', 'out', ...CONVERT, 'data-first', 'out'],
    ['a copy of all zeros, too', 'out', ...CONVERT, '-S', '0', 'hole', 'out'],
    ['a copy over an older file', 'zeros-first', ...CONVERT, 'hole', 'zeros-first'],
    ['a new disk', 'out', 'create', ...RAW, 'out', '1M'],
    ['a short one', 'out', 'create', ...RAW, 'out', '2k'],
    ['one of no length', 'out', 'create', ...RAW, 'out', '0'],
    ['a data file', 'd', 'create', '-f', 'qcow2', '-o', 'data_file=d', 'out', '1M'],
    [
      'a mapped one',
      'd',
      'create',
      '-f',
      'qcow2',
      '-o',
      'data_file=d,preallocation=metadata',
      'out',
      '1M',
    ],
    ['an empty file that grows', 'empty', 'resize', ...RAW, 'empty', '2M'],
    ['one that grows a little', 'empty', 'resize', ...RAW, 'empty', '512'],
    ['a file that was not empty', 'hole', 'resize', ...RAW, 'hole', '2M'],
  ])('%s', async (_, made, ...argv) => {
    const pair = await editBoth(argv, temporaryDirectory(), makeInputs);
    expect(pair.ours).toEqual(pair.qemu);
    expect(await madeOf(pair.ourDirectory, made)).toEqual(await madeOf(pair.qemuDirectory, made));
  });
});
