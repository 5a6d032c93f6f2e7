/** The built program where holes are asked for, and where nobody can tell them. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';

const at = (name: string): string => fileURLToPath(new URL(`../../../${name}`, import.meta.url));
const WITHOUT = ['--require', at('test/support/without-koffi.cjs')];
const BLOCK = 65_536;

beforeAll(() => {
  if (!existsSync(at('dist/cli/qsnap-img/qsnap-img.cjs'))) {
    throw new Error('run `npm run build` first: these tests run dist/');
  }
});

/** Zeros that were written, data, and a hole. */
function sparseFile(): string {
  const file = path.join(temporaryDirectory(), 'disk.raw');
  writeFileSync(file, new Uint8Array(2 * BLOCK).fill(5, BLOCK));
  truncateSync(file, 3 * BLOCK);
  return file;
}

function run(node: readonly string[], argv: readonly string[]): string {
  const words = [...node, at('bin/qsnap-img.js'), ...argv];
  const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout;
}

/** Where the data of a raw file lies, by its map. */
function dataIn(file: string, node: readonly string[]): readonly (readonly [number, number])[] {
  const map = JSON.parse(run(node, ['map', '--output=json', '-f', 'raw', file])) as {
    start: number;
    length: number;
    data: boolean;
  }[];
  return map.filter(({ data }) => data).map(({ start, length }) => [start, start + length]);
}

describe('the holes of a file', () => {
  test('with koffi: what was written is data, zeros too', () => {
    expect(dataIn(sparseFile(), [])).toEqual([[0, 2 * BLOCK]]);
  });

  test('without it: blocks of zeros are taken for holes', () => {
    expect(dataIn(sparseFile(), WITHOUT)).toEqual([[BLOCK, 2 * BLOCK]]);
  });

  test.each([
    ['with', []],
    ['without', WITHOUT],
  ])('%s koffi a copy is the same', (_, node) => {
    const file = sparseFile();
    const copy = `${file}.copy`;
    run(node, ['convert', '-f', 'raw', '-O', 'raw', file, copy]);
    expect(readFileSync(copy).equals(readFileSync(file))).toBe(true);
    expect(run(node, ['compare', '-f', 'raw', '-F', 'raw', file, copy])).toBe(
      'Images are identical.\n',
    );
  });
});
