/** The built program where holes are asked for, and where nobody can tell them. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';

const at = (name: string): string => fileURLToPath(new URL(`../../../${name}`, import.meta.url));
const BLOCK = 65_536;
/** What is loaded of koffi, without all around it. */
const BINARY = `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;

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

/** @param hidden a module that is not found. */
function run(argv: readonly string[], hidden: string): string {
  const preload = ['--require', at('test/support/hidden-module.cjs')];
  const words = [...preload, at('bin/qsnap-img.js'), ...argv];
  const env = { ...process.env, QSNAP_HIDDEN: hidden };
  const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', env });
  expect(stderr).toBe('');
  return stdout;
}

/** Where the data of a raw file lies, by its map. */
function dataIn(file: string, hidden: string): readonly (readonly [number, number])[] {
  const map = JSON.parse(run(['map', '--output=json', '-f', 'raw', file], hidden)) as {
    start: number;
    length: number;
    data: boolean;
  }[];
  return map.filter(({ data }) => data).map(({ start, length }) => [start, start + length]);
}

describe('the holes of a file', () => {
  test('with koffi: what was written is data, zeros too', () => {
    expect(dataIn(sparseFile(), '')).toEqual([[0, 2 * BLOCK]]);
  });

  test('where its binary lies elsewhere: by its own loader', () => {
    expect(dataIn(sparseFile(), BINARY)).toEqual([[0, 2 * BLOCK]]);
  });

  test('without it: blocks of zeros are taken for holes', () => {
    expect(dataIn(sparseFile(), 'koffi')).toEqual([[BLOCK, 2 * BLOCK]]);
  });

  test.each([
    ['with', ''],
    ['without', 'koffi'],
  ])('%s koffi a copy is the same', (_, hidden) => {
    const file = sparseFile();
    const copy = `${file}.copy`;
    run(['convert', '-f', 'raw', '-O', 'raw', file, copy], hidden);
    expect(readFileSync(copy).equals(readFileSync(file))).toBe(true);
    expect(run(['compare', '-f', 'raw', '-F', 'raw', file, copy], hidden)).toBe(
      'Images are identical.\n',
    );
  });
});
