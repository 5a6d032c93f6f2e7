import { closeSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ReadAtOnce } from '../../../../src/node/files/read-at-once.js';
import { temporaryDirectory } from '../../../support/directories.js';

const file = path.join(temporaryDirectory(), 'bytes');
writeFileSync(
  file,
  Uint8Array.from({ length: 1000 }, (_, i) => i),
);
const fd = openSync(file, 'r');
afterAll(() => {
  closeSync(fd);
});

/** Reads one byte, `times` times; which of the reads were made at once. */
function atOnce(reads: ReadAtOnce, times: number): boolean[] {
  return Array.from({ length: times }, () => reads.read(fd, [new Uint8Array(1)], 0) === 1);
}

test('fills one buffer or several from a place, up to the end of the file', () => {
  const reads = new ReadAtOnce(() => 0);
  const [a, b] = [new Uint8Array(3), new Uint8Array(2)];
  expect(reads.read(fd, [a, b], 5)).toBe(5);
  expect([...a, ...b]).toEqual([5, 6, 7, 8, 9]);
  expect(reads.read(fd, [a], 998)).toBe(2);
  expect(reads.read(fd, [a], 1000)).toBe(0);
});

test('while no disk is needed all is read at once', () => {
  expect(atOnce(new ReadAtOnce(() => 7), 200)).not.toContain(false);
});

test('where a disk was needed, the next 64 reads go elsewhere, and then it is tried again', () => {
  let disk = 0;
  const reads = new ReadAtOnce(() => disk++);
  const made = atOnce(reads, 8 + 64 + 8 + 64 + 1);
  const stretch = [...new Array<boolean>(8).fill(true), ...new Array<boolean>(64).fill(false)];
  expect(made).toEqual([...stretch, ...stretch, true]);
});

test('what others read from disks meanwhile does not count', () => {
  let disk = 0;
  const reads = new ReadAtOnce(() => disk);
  disk = 5;
  expect(atOnce(reads, 30)).not.toContain(false);
});

test('a large read goes elsewhere', () => {
  const reads = new ReadAtOnce(() => 0);
  const half = new Uint8Array(128 * 1024);
  expect(reads.read(fd, [half, half], 0)).toBe(1000);
  expect(reads.read(fd, [half, half, new Uint8Array(1)], 0)).toBeUndefined();
});

// Nothing could stop a program otherwise that reads many small tables: no signal and no timer would come through.
test('after 4 MiB at once one read goes elsewhere', () => {
  const reads = new ReadAtOnce(() => 0);
  const made = Array.from({ length: 66 }, () => reads.read(fd, [new Uint8Array(2 ** 17)], 0));
  const atOnce = made.map((bytes) => bytes !== undefined);
  const row = new Array<boolean>(32).fill(true);
  expect(atOnce).toEqual([...row, false, ...row, false]);
});

test("an error is the system's", () => {
  const writing = openSync(path.join(path.dirname(file), 'other'), 'w');
  expect(() => new ReadAtOnce(() => 0).read(writing, [new Uint8Array(1)], 0)).toThrow(/EBADF/);
  closeSync(writing);
});
