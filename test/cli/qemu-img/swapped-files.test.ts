/** Files that get another name between a look at them and their use. */
import { linkSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import * as node from '../../../src/node/index.js';
import { temporaryDirectory } from '../../support/directories.js';
import { loadFixture } from '../../support/fixture.js';
import { runInMemory } from './streams.js';

vi.mock('../../../src/node/index.js', { spy: true });
const actual = await vi.importActual<typeof node>('../../../src/node/index.js');

function place(): { input: string; output: string; bytes: Buffer } {
  const directory = temporaryDirectory();
  const [input, output] = [path.join(directory, 'in.raw'), path.join(directory, 'out.raw')];
  const bytes = Buffer.alloc(65_536, 7);
  writeFileSync(input, bytes);
  writeFileSync(output, Buffer.alloc(65_536));
  return { input, output, bytes };
}

// Without locks (-U) nothing else keeps what is read from being emptied.
test('convert does not empty what it reads, though that has the name of the output by then', async () => {
  const { input, output, bytes } = place();
  vi.mocked(node.openFileToReplace).mockImplementationOnce((file) => {
    renameSync(input, output);
    return actual.openFileToReplace(file);
  });
  const { code, stderr } = await runInMemory(['convert', '-U', '-O', 'raw', input, output]);
  expect(code).toBe(1);
  expect(stderr).toContain(output);
  expect(readFileSync(output).equals(bytes)).toBe(true);
});

test('convert -n does not write over what it reads either', async () => {
  const { input, output, bytes } = place();
  vi.mocked(node.openFileForEdit).mockImplementationOnce((file) => {
    renameSync(input, output);
    return actual.openFileForEdit(file);
  });
  const argv = ['convert', '-U', '-n', '-f', 'raw', '-O', 'raw', input, output];
  const { code, stderr } = await runInMemory(argv);
  expect(code).toBe(1);
  expect(stderr).toContain('lock');
  expect(readFileSync(output).equals(bytes)).toBe(true);
});

test('nor what has another name from the beginning', async () => {
  const { input, output, bytes } = place();
  for (const [name, make] of [
    ['hard', linkSync],
    ['soft', symlinkSync],
  ] as const) {
    const other = `${output}.${name}`;
    make(input, other);
    const { code } = await runInMemory(['convert', '-U', '-O', 'raw', input, other]);
    expect(code).toBe(1);
    expect(readFileSync(input).equals(bytes)).toBe(true);
  }
});

// The file was emptied as data file, before its own lock was met.
test('create does not take one file for both by two names', async () => {
  const { input, bytes } = place();
  const link = path.join(path.dirname(input), 'data.raw');
  symlinkSync(input, link);
  const argv = ['create', '-f', 'qcow2', '-o', `data_file=${link}`, input, '1M'];
  const { code, stderr } = await runInMemory(argv);
  expect(code).toBe(1);
  expect(stderr).toContain('data file');
  expect(readFileSync(input).equals(bytes)).toBe(true);
});

// Each time the name is another one: d/../d/disk.qcow2, d/../d/../d/disk.qcow2, ...
test('a chain that leads back to itself by ever longer names is told as that', async () => {
  const folder = path.join(temporaryDirectory(), 'd');
  mkdirSync(folder);
  const bytes = Buffer.from(loadFixture('backing-chain'));
  const name = '../d/disk.qcow2';
  bytes.write(name, 2048, 'latin1');
  bytes.writeBigUInt64BE(2048n, 8);
  bytes.writeUInt32BE(name.length, 16);
  const file = path.join(folder, 'disk.qcow2');
  writeFileSync(file, bytes);
  const { code, stderr } = await runInMemory(['map', file]);
  expect(code).toBe(1);
  expect(stderr).toContain('leads back to itself');
});
