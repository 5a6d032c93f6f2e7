import { spawnSync } from 'node:child_process';
import { mkdirSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import {
  hostFreeBytes,
  hostRoomBytes,
  softFileLimit,
} from '../../../../src/node/files/host-room.js';
import { openFile, openFileForEdit } from '../../../../src/node/index.js';
import { temporaryDirectory } from '../../../support/directories.js';
import { leaveOut } from '../../../support/left-out.js';
import { withLoopDevice } from '../../../support/loop-device.js';

const LIMITS = (
  soft: string,
): string => `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max file size             ${soft.padEnd(20)} unlimited            bytes
Max open files            1024                 4096                 files
`;

test('the limit for files of a process', () => {
  expect(softFileLimit(LIMITS('33554432'))).toBe(33_554_432);
  expect(softFileLimit(LIMITS('unlimited'))).toBeUndefined();
  expect(softFileLimit('')).toBeUndefined();
});

test('what is free on the file system', async () => {
  const folder = temporaryDirectory();
  const { bavail, blocks, bsize } = statfsSync(folder);
  const room = await hostRoomBytes(folder, 0);
  expect(room).toBeGreaterThan((bavail * bsize) / 2);
  expect(room).toBeLessThanOrEqual(blocks * bsize);
  expect(await hostRoomBytes(path.join(folder, 'nothing'), 0)).toBeUndefined();
});

// A dry run counted what ext4 keeps for itself, and the edit then found no room.
test('what is told of an ext4 is what a file can fill, but for its tables', async () => {
  const folder = temporaryDirectory();
  const disk = path.join(folder, 'disk');
  const mounted = path.join(folder, 'mounted');
  const file = path.join(mounted, 'file');
  writeFileSync(disk, new Uint8Array(0));
  truncateSync(disk, 64 * 2 ** 20);
  if (spawnSync('mkfs.ext4', ['-q', disk]).status !== 0) {
    leaveOut('what needs mkfs.ext4');
    return;
  }
  mkdirSync(mounted);
  if (spawnSync('mount', ['-o', 'loop', disk, mounted]).status !== 0) {
    leaveOut('what needs a loop device that can be mounted');
    return;
  }
  try {
    writeFileSync(file, '');
    const free = await hostFreeBytes(mounted);
    spawnSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=4096']);
    const filled = statSync(file).size;
    expect(filled).toBeLessThanOrEqual(free!);
    expect(filled).toBeGreaterThan(free! - 16 * 1024);
    expect(await hostFreeBytes(mounted)).toBe(0);
  } finally {
    spawnSync('umount', [mounted]);
  }
});

test('a block device never becomes longer, and one that is read-only is not opened for an edit', async () => {
  const file = path.join(temporaryDirectory(), 'disk');
  writeFileSync(file, new Uint8Array(65_536));
  await withLoopDevice(file, ['--read-only'], async (device) => {
    const source = await openFile(device);
    expect(source.growable).toBe(false);
    expect(await source.roomBytes?.()).toBe(0);
    const refusal = {
      code: 'OPEN_FAILED',
      message: `Can't open ${device}: the device is read-only`,
    };
    expect(await source.refusalToWrite()).toMatchObject(refusal);
    await source.close();
    await expect(openFileForEdit(device)).rejects.toMatchObject(refusal);
  });
});
