/** The floors of coverage: a file that falls below one is named, with what no test calls. */
import { expect, test } from 'vitest';
import {
  belowFloors,
  byFolder,
  FILE_FLOORS,
  FOLDER_FLOORS,
  type Coverage,
} from '../calls/floors.js';
import { filesBelow } from './source-tree.js';

const called = (path: string, functions: number, ...uncalled: string[]): Coverage => ({
  path,
  functions,
  uncalled,
});
const MUCH = called('src/base/much.ts', 1000);

test('a file below its floor is named with the functions that no test calls', () => {
  expect(belowFloors([MUCH, called('src/base/a.ts', 4, 'one (line 3)')])).toEqual([]);
  const [sentence, ...others] = belowFloors([
    MUCH,
    called('src/base/a.ts', 4, 'one (line 3)', 'line 8'),
  ]);
  expect(sentence).toMatch(/^src\/base\/a\.ts: .* 2 of 4 .* one \(line 3\), line 8$/);
  expect(others).toEqual([]);
});

test('a file that no test loads is below, and one of types alone is not', () => {
  expect(belowFloors([MUCH, called('src/base/a.ts', 1, 'one (line 3)')])).toHaveLength(1);
  expect(belowFloors([MUCH, called('src/base/types.ts', 0)])).toEqual([]);
});

test('a folder below its floor is named where no file of it is', () => {
  const files = Array.from({ length: 9 }, (_, i) =>
    called(`src/edit/repair/${i}.ts`, 10, 'one (line 3)', 'two (line 4)'),
  );
  const sentences = belowFloors([called('src/base/much.ts', 10_000), ...files]);
  expect(sentences).toHaveLength(1);
  expect(sentences[0]).toMatch(/^src\/edit\/repair\/: tests call 72 of 90 /);
});

test('figures are summed by folder, without files of types', () => {
  const files = [called('src/b/a.ts', 4, 'x'), called('src/b/b.ts', 0), called('src/b/c.ts', 2)];
  expect(byFolder([MUCH, ...files])).toEqual([
    { folder: 'src/b', files: 2, functions: 6, called: 5 },
    { folder: 'src/base', files: 1, functions: 1000, called: 1000 },
  ]);
});

test('floors name what there is', () => {
  const paths = filesBelow('src');
  expect(Object.keys(FILE_FLOORS).filter((path) => !paths.includes(path))).toEqual([]);
  const folders = Object.keys(FOLDER_FLOORS);
  expect(folders.filter((folder) => !paths.some((path) => path.startsWith(`${folder}/`)))).toEqual(
    [],
  );
});
