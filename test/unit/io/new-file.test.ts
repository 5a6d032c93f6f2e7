import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { isQsnapError } from '../../../src/errors.js';
import { createNewFile } from '../../../src/io/node/new-file.js';
import { temporaryDirectory } from '../../support/directories.js';

test('a new file takes what is written, and nobody but its owner may read it', async () => {
  const file = path.join(temporaryDirectory(), 'old.undo');
  const device = await createNewFile(file);
  await device.writeBatch([{ at: 3, bytes: Uint8Array.of(1, 2) }]);
  await device.flush();
  await device.close();
  expect([...readFileSync(file)]).toEqual([0, 0, 0, 1, 2]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a file that is there stays as it is; a folder that is not there is an error', async () => {
  const directory = temporaryDirectory();
  const file = path.join(directory, 'disk.qcow2');
  writeFileSync(file, 'keep');
  for (const wrong of [file, path.join(directory, 'none', 'old.undo')]) {
    const error: unknown = await createNewFile(wrong).catch((thrown: unknown) => thrown);
    expect(isQsnapError(error) && error.code).toBe('OPEN_FAILED');
  }
  expect(readFileSync(file, 'utf8')).toBe('keep');
  expect(existsSync(path.join(directory, 'none'))).toBe(false);
});
