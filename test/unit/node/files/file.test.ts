import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openFileSource, refuseOthers } from '../../../../src/node/files/file.js';
import { openFile } from '../../../../src/node/files/open.js';
import { openFileDevice, openFileForEdit } from '../../../../src/node/files/open-for-edit.js';
import { leaveOut } from '../../../support/left-out.js';
import { temporaryDirectory } from '../../../support/directories.js';

const openers = [
  ['for reading', openFileSource],
  ['for an edit', openFileDevice],
] as const;

function newFile(bytes: Uint8Array): string {
  const file = path.join(temporaryDirectory(), 'disk.img');
  writeFileSync(file, bytes);
  return file;
}

test.each(openers)('what is no file is refused and not opened, %s', async (_, opener) => {
  const directory = temporaryDirectory();
  const socket = path.join(directory, 'socket');
  const link = path.join(directory, 'link');
  symlinkSync(socket, link);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  for (const [file, kind] of [
    [directory, 'a directory'],
    [socket, 'a socket'],
    [link, 'a socket'],
    ['/dev/null', 'a character device'],
  ] as const) {
    await expect(opener(file)).rejects.toMatchObject({
      code: 'NOT_A_FILE',
      message: `${file} is ${kind}, not a file`,
      details: { file },
    });
  }
  await new Promise((resolve) => server.close(resolve));
});

// A stand-in: a real pipe would keep every other program waiting that meets it.
test('a pipe is refused', () => {
  const [yes, no] = [() => true, () => false];
  const others = { isFile: no, isBlockDevice: no, isDirectory: no, isSocket: no };
  const stats = { ...others, isFIFO: yes } as unknown as Stats;
  expect(() => {
    refuseOthers('p', stats);
  }).toThrow('p is a pipe, not a file');
});

test.each(openers)('a path that leads nowhere is an open error, %s', async (_, opener) => {
  const file = newFile(Uint8Array.of(1));
  const loop = path.join(path.dirname(file), 'loop');
  symlinkSync(loop, loop);
  for (const [name, systemCode, reason] of [
    [`${file}x`, 'ENOENT', 'there is no such file'],
    [`${file}/x`, 'ENOTDIR', 'a part of the path is not a directory'],
    [loop, 'ELOOP', 'the path has too many symbolic links'],
    ['', 'ENOENT', 'there is no such file'],
  ] as const) {
    await expect(opener(name)).rejects.toMatchObject({
      code: 'OPEN_FAILED',
      message: `Can't open ${name}: ${reason}`,
      details: { file: name, systemCode },
    });
  }
  await expect(opener('a\0b')).rejects.toMatchObject({ code: 'OPEN_FAILED' });
});

test('control characters of a path do not reach the message', async () => {
  await expect(openFileSource('/\x1b[2Jx')).rejects.toThrow("Can't open /\\x1b[2Jx: there is");
});

test('a program that runs opens for reading alone', async () => {
  const program = path.join(temporaryDirectory(), 'sleep');
  copyFileSync(
    execFileSync('sh', ['-c', 'command -v sleep'], { encoding: 'utf8' }).trim(),
    program,
  );
  const child = spawn(program, ['60']);
  await once(child, 'spawn');
  try {
    await (await openFileSource(program)).close();
    await expect(openFileDevice(program)).rejects.toMatchObject({
      code: 'OPEN_FAILED',
      message: `Can't open ${program}: it is being run as a program or used as swap space`,
      details: { systemCode: 'ETXTBSY' },
    });
  } finally {
    child.kill();
    await once(child, 'exit');
  }
});

test('reading leaves bytes and times as they are', async () => {
  const file = newFile(new Uint8Array(1000).fill(3));
  utimesSync(file, 1_000_000, 1_000_000);
  const before = statSync(file);
  const source = await openFile(file);
  await source.readBatch([{ at: 0, into: new Uint8Array(1000) }]);
  expect('writeBatch' in source).toBe(false);
  await source.close();
  const after = statSync(file);
  expect([after.mtimeMs, after.ctimeMs]).toEqual([before.mtimeMs, before.ctimeMs]);
  if (process.platform === 'linux') expect(after.atimeMs).toBe(before.atimeMs);
  else leaveOut('the time of the last access: only Linux can leave it as it is');
});

test('opening for an edit neither makes nor empties a file, and changes no time', async () => {
  const file = newFile(Uint8Array.of(1, 2, 3));
  utimesSync(file, 1_000_000, 1_000_000);
  const device = await openFileForEdit(file);
  await device.flush();
  await device.close();
  expect(readFileSync(file)).toEqual(Buffer.of(1, 2, 3));
  expect(statSync(file).mtimeMs).toBe(1_000_000_000);
  await expect(openFileForEdit(`${file}2`)).rejects.toMatchObject({ code: 'OPEN_FAILED' });
  expect(() => statSync(`${file}2`)).toThrow('ENOENT');
});

test('allocated bytes are those of the medium: a hole takes none', async () => {
  const file = newFile(new Uint8Array(64 * 1024).fill(1));
  const device = await openFileForEdit(file);
  await device.flush();
  expect(await device.allocatedBytes()).toBe(64 * 1024);
  await device.truncate(1024 * 1024);
  expect(await device.allocatedBytes()).toBe(64 * 1024);
  const givenBack = await device.punchBatch([{ at: 0, length: 32 * 1024 }]);
  expect(await device.allocatedBytes()).toBe(64 * 1024 - givenBack);
  await device.close();
});

test('a refused image leaves no open file behind', async () => {
  const directory = temporaryDirectory();
  mkdirSync(path.join(directory, 'd'));
  const next = () => {
    const fd = openSync(directory, 'r');
    closeSync(fd);
    return fd;
  };
  const before = next();
  await expect(openFileSource(path.join(directory, 'd'))).rejects.toThrow('a directory');
  const file = newFile(Uint8Array.of(1));
  const first = await openFileForEdit(file);
  await expect(openFileForEdit(file)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
  await expect(openFile(file)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
  await first.close();
  expect(next()).toBe(before);
});
