import {
  chmodSync,
  existsSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../../../src/errors.js';
import { createNewFile, openFileToReplace } from '../../../../src/node/files/new-file.js';
import { openFile } from '../../../../src/node/files/open.js';
import { nextDescriptor } from '../../../support/descriptors.js';
import { temporaryDirectory } from '../../../support/directories.js';
import { asNobody } from '../../../support/other-user.js';

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
  const wrong = [
    [file, 'OUTPUT_EXISTS'],
    [path.join(directory, 'none', 'old.undo'), 'OPEN_FAILED'],
  ] as const;
  for (const [name, code] of wrong) {
    const error: unknown = await createNewFile(name).catch((thrown: unknown) => thrown);
    expect(isQsnapError(error) && error.code).toBe(code);
  }
  expect(readFileSync(file, 'utf8')).toBe('keep');
  expect(existsSync(path.join(directory, 'none'))).toBe(false);
});

// The file was made, stayed open and stayed there: a second try was told that it exists.
test('a folder that nobody may list takes a new file as well', async () => {
  const directory = temporaryDirectory();
  const file = path.join(directory, 'old.undo');
  await asNobody(directory, async () => {
    chmodSync(directory, 0o300);
    const before = nextDescriptor();
    const device = await createNewFile(file);
    await device.close();
    expect(nextDescriptor()).toBe(before);
  });
  expect(readdirSync(directory)).toEqual(['old.undo']);
});

describe('a file for a new image that comes to nothing', () => {
  test('goes away again if it was made for it', async () => {
    const directory = temporaryDirectory();
    const before = nextDescriptor();
    const file = await openFileToReplace(path.join(directory, 'new.qcow2'));
    expect(file.isNew).toBe(true);
    await expect(openFile(path.join(directory, 'new.qcow2'))).rejects.toMatchObject({
      code: 'IMAGE_IN_USE',
    });
    await file.abandon();
    expect(readdirSync(directory)).toEqual([]);
    expect(nextDescriptor()).toBe(before);
  });

  test('stays if it was there before', async () => {
    const file = path.join(temporaryDirectory(), 'old.qcow2');
    writeFileSync(file, 'old');
    const opened = await openFileToReplace(file);
    expect(opened.isNew).toBe(false);
    await opened.abandon();
    expect(readFileSync(file, 'utf8')).toBe('old');
  });

  // The name was removed, whatever had it by then.
  test('leaves alone what has its name meanwhile', async () => {
    const directory = temporaryDirectory();
    const file = path.join(directory, 'new.qcow2');
    const opened = await openFileToReplace(file);
    renameSync(file, path.join(directory, 'taken'));
    writeFileSync(file, 'theirs');
    await opened.abandon();
    expect(readFileSync(file, 'utf8')).toBe('theirs');
  });

  // The link was removed, and the file that had been made behind it stayed.
  test('goes away behind a link, and the link stays', async () => {
    const directory = temporaryDirectory();
    const link = path.join(directory, 'link');
    symlinkSync('second', link);
    symlinkSync('new.qcow2', path.join(directory, 'second'));
    const opened = await openFileToReplace(link);
    expect(opened.isNew).toBe(true);
    expect(existsSync(path.join(directory, 'new.qcow2'))).toBe(true);
    await opened.abandon();
    expect(readdirSync(directory)).toEqual(['link', 'second']);
    expect(readlinkSync(link)).toBe('second');
  });
});

test('a link that goes round is no place for a file', async () => {
  const directory = temporaryDirectory();
  const link = path.join(directory, 'link');
  symlinkSync('link', link);
  await expect(openFileToReplace(link)).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    details: { systemCode: 'ELOOP' },
  });
  expect(readdirSync(directory)).toEqual(['link']);
});
