import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { checkImage } from '../../../src/index.js';
import { openFile, openImageFile } from '../../../src/node/index.js';
import { temporaryDirectory } from '../../support/directories.js';
import { copyCompanions, copyFixture, expectedContents } from '../../support/fixture.js';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

test('opened for writing: locked against others until it is closed, and sound after edits', async () => {
  const path = copyFixture('five-snapshots', temporaryDirectory());
  {
    await using image = await openImageFile(path, { write: true });
    expect(image.writable).toBe(true);
    expect(image.label).toBe(path);
    await expect(openImageFile(path)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
    await image.create('before upgrade');
    await image.delete(['#0', '#1']);
  }
  const source = await openFile(path);
  expect((await checkImage(source)).findings).toEqual([]);
  await source.close();
});

test('opened for reading: several at a time, and nothing is written', async () => {
  const path = copyFixture('compressed-zstd', temporaryDirectory());
  const before = readFileSync(path);
  await using first = await openImageFile(path);
  await using second = await openImageFile(path, { forceShare: true });
  await expect(first.create('x')).rejects.toMatchObject({ code: 'READ_ONLY' });
  for (const image of [first, second]) {
    await using disk = await image.disk();
    const bytes = await disk.read(0, disk.sizeBytes);
    expect(sha256(bytes)).toBe(expectedContents('compressed-zstd').active.sha256);
  }
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('a backing file is opened for who asks', async () => {
  const directory = temporaryDirectory();
  copyCompanions('backing-chain', directory);
  await using image = await openImageFile(copyFixture('backing-chain', directory));
  await using disk = await image.disk({ backing: true });
  const bytes = await disk.read(0, disk.sizeBytes);
  expect(sha256(bytes)).toBe(expectedContents('backing-chain').active.sha256);
  await using alone = await image.disk();
  await expect(alone.read(0, alone.sizeBytes)).rejects.toMatchObject({ code: 'BACKING_REFUSED' });
});

test('what is no file, or no image', async () => {
  await expect(openImageFile('/nowhere/disk.qcow2')).rejects.toMatchObject({ code: 'OPEN_FAILED' });
  const path = copyFixture('five-snapshots', temporaryDirectory());
  await using image = await openImageFile(path, { write: true });
  expect(image.snapshots).toHaveLength(5);
});
