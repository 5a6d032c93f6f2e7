import { closeSync, existsSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { expect, test } from 'vitest';
import { seekIn, stretchesBySeeking, type Seek } from '../../../../src/node/files/seek.js';
import { openFile } from '../../../../src/node/files/open.js';
import { openFileForEdit } from '../../../../src/node/files/open-for-edit.js';
import { temporaryDirectory } from '../../../support/directories.js';

const BLOCK = 65_536;

/** A file with data in these blocks alone. */
function fileWith(blocks: readonly number[], sizeBytes: number): string {
  const file = path.join(temporaryDirectory(), 'file');
  const fd = openSync(file, 'wx');
  ftruncateSync(fd, sizeBytes);
  for (const block of blocks) writeSync(fd, new Uint8Array(BLOCK), 0, BLOCK, block * BLOCK);
  closeSync(fd);
  return file;
}

/** `Seek` of a system that knows of data in these ranges alone, up to `end`. */
function seekOver(data: readonly (readonly [from: number, to: number])[]): Seek {
  return (what, at) => {
    const range = data.find(([, to]) => at < to);
    if (what === 'data') return range === undefined ? Infinity : Math.max(at, range[0]);
    return range !== undefined && at >= range[0] ? range[1] : at;
  };
}

test('holes and data by turns, what lies past the end as a hole', () => {
  const seek = seekOver([
    [10, 20],
    [40, 50],
  ]);
  expect(stretchesBySeeking(seek, 0, 60)).toEqual([
    { at: 0, length: 10, isHole: true },
    { at: 10, length: 10, isHole: false },
    { at: 20, length: 20, isHole: true },
    { at: 40, length: 10, isHole: false },
    { at: 50, length: 10, isHole: true },
  ]);
  expect(stretchesBySeeking(seek, 15, 45)).toEqual([
    { at: 15, length: 5, isHole: false },
    { at: 20, length: 20, isHole: true },
    { at: 40, length: 5, isHole: false },
  ]);
  expect(stretchesBySeeking(seek, 50, 51)).toEqual([{ at: 50, length: 1, isHole: true }]);
});

test.each<[string, Seek]>([
  ['no call', () => undefined],
  ['data before what was asked for', (_, at) => at - 1],
  ['a hole where data was', (_, at) => at],
  ['no answer about holes', (what, at) => (what === 'data' ? at : undefined)],
])('nobody can tell: %s', (_, seek) => {
  expect(stretchesBySeeking(seek, 5, 10)).toBeUndefined();
});

test('a file of very many stretches is told of in parts', () => {
  // The next data, then its end: data in every other byte.
  const seek: Seek = (what, at) => (what === 'data' ? at + 1 - (at % 2) : at + 1);
  const told = stretchesBySeeking(seek, 0, 1e9)!;
  expect(told).toHaveLength(256);
  expect(told.at(-1)).toEqual({ at: 255, length: 1, isHole: false });
});

test.each([
  ['for reading', openFile],
  ['for an edit', openFileForEdit],
])('the source of a file knows its holes, opened %s', async (_, open) => {
  const source = await open(fileWith([1, 4], 2 ** 40 + 100));
  expect(await source.stretchesFrom(0, 2 ** 40 + 100)).toEqual([
    { at: 0, length: BLOCK, isHole: true },
    { at: BLOCK, length: BLOCK, isHole: false },
    { at: 2 * BLOCK, length: 2 * BLOCK, isHole: true },
    { at: 4 * BLOCK, length: BLOCK, isHole: false },
    { at: 5 * BLOCK, length: 2 ** 40 + 100 - 5 * BLOCK, isHole: true },
  ]);
  expect(await source.stretchesFrom(BLOCK + 1, BLOCK + 2)).toEqual([
    { at: BLOCK + 1, length: 1, isHole: false },
  ]);
  expect(await source.stretchesFrom(2 ** 61, 2 ** 62)).toEqual([
    { at: 2 ** 61, length: 2 ** 61, isHole: true },
  ]);
  await source.close();
  await expect(source.stretchesFrom(0, 1)).rejects.toMatchObject({ code: 'INTERNAL' });
});

test('the binary lies where it is looked for, so that the slow loader is not needed', () => {
  const { arch } = process;
  const binary = `@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`;
  const ofKoffi = createRequire(createRequire(import.meta.url).resolve('koffi'));
  expect(existsSync(ofKoffi.resolve(binary))).toBe(true);
});

test('nobody can tell of a descriptor that is no file', () => {
  expect(seekIn(-1, 'data', 0)).toBeUndefined();
});

test('reads go on where they were, since they name their places', async () => {
  const source = await openFile(fileWith([0], 3 * BLOCK));
  const into = new Uint8Array(2 * BLOCK).fill(7);
  await source.stretchesFrom(0, 3 * BLOCK);
  await source.readBatch([{ at: BLOCK, into }]);
  expect(into.every((byte) => byte === 0)).toBe(true);
  await source.close();
});
