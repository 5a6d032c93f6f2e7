import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { checkImage, type Progress } from '../../../src/index.js';
import { exportDisk, openFile, openImageFile } from '../../../src/node/index.js';
import { temporaryDirectory } from '../../support/directories.js';
import { copyCompanions, copyFixture, expectedContents } from '../../support/fixture.js';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function placeOf(fixture: string): { image: string; out: (name: string) => string } {
  const folder = temporaryDirectory();
  return { image: copyFixture(fixture, folder), out: (name) => join(folder, name) };
}

/** What a guest reads of an image that was exported; a check finds nothing in it. */
async function contentOf(file: string): Promise<string> {
  const source = await openFile(file);
  expect((await checkImage(source)).findings).toEqual([]);
  await source.close();
  await using image = await openImageFile(file);
  await using disk = await image.disk();
  return sha256(await disk.read(0, disk.sizeBytes));
}

test('of a snapshot, raw and as an image: what its guest read, with the permissions of the image', async () => {
  const { image: path, out } = placeOf('resized-larger');
  chmodSync(path, 0o600);
  const [expected] = expectedContents('resized-larger').snapshots;
  await using image = await openImageFile(path);
  await using disk = await image.disk('#0');
  const { diskBytes } = await exportDisk(disk, out('0.raw'));
  expect(diskBytes).toBe(expected!.diskSizeBytes);
  expect(sha256(readFileSync(out('0.raw')))).toBe(expected!.sha256);
  for (const compress of [undefined, 'zlib', 'zstd'] as const) {
    const file = out(`${String(compress)}.QCOW2`);
    await exportDisk(disk, file, { compress, clusterBytes: 4096 });
    expect(await contentOf(file)).toBe(expected!.sha256);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
});

test('a name that ends like an image can be a raw disk', async () => {
  const { image: path, out } = placeOf('version-3');
  await using image = await openImageFile(path);
  await using disk = await image.disk();
  await exportDisk(disk, out('raw.qcow2'), { format: 'raw' });
  expect(sha256(readFileSync(out('raw.qcow2')))).toBe(expectedContents('version-3').active.sha256);
});

test('the whole of a disk over a backing file', async () => {
  const { image: path, out } = placeOf('backing-chain');
  copyCompanions('backing-chain', dirname(path));
  await using image = await openImageFile(path);
  await using whole = await image.disk({ backing: true });
  await exportDisk(whole, out('whole.qcow2'));
  expect(await contentOf(out('whole.qcow2'))).toBe(expectedContents('backing-chain').active.sha256);
});

test('no file is replaced unless told so, and never one that is read', async () => {
  const { image: path, out } = placeOf('five-snapshots');
  const before = readFileSync(path);
  await using image = await openImageFile(path);
  await using disk = await image.disk();
  writeFileSync(out('there.raw'), 'mine');
  await expect(exportDisk(disk, out('there.raw'))).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  expect(readFileSync(out('there.raw'), 'utf8')).toBe('mine');
  await expect(exportDisk(disk, path, { replace: true })).rejects.toMatchObject({
    code: 'OUTPUT_IS_INPUT',
  });
  expect(readFileSync(path).equals(before)).toBe(true);
  await exportDisk(disk, out('there.raw'), { replace: true });
  expect(statSync(out('there.raw')).size).toBe(disk.sizeBytes);
});

test('progress in bytes; a signal leaves nothing', async () => {
  const { image: path, out } = placeOf('five-snapshots');
  await using image = await openImageFile(path);
  await using disk = await image.disk();
  const told: Progress[] = [];
  await exportDisk(disk, out('told.raw'), { onProgress: (progress) => told.push(progress) });
  expect(told.at(-1)).toEqual({ phase: 'writing', done: disk.sizeBytes, total: disk.sizeBytes });
  const controller = new AbortController();
  const stopped = exportDisk(disk, out('stopped.raw'), {
    signal: controller.signal,
    onProgress: () => {
      controller.abort();
    },
  });
  await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
  expect(readdirSync(dirname(path)).toSorted()).toEqual(['five-snapshots.qcow2', 'told.raw']);
});

test('what can not be exported is refused before there is a file', async () => {
  const { image: path, out } = placeOf('five-snapshots');
  await using image = await openImageFile(path);
  const disk = await image.disk();
  const invalid = { code: 'NEW_IMAGE_INVALID' };
  await expect(exportDisk(disk, out('a.raw'), { compress: 'zlib' })).rejects.toMatchObject(invalid);
  await expect(exportDisk(disk, out('a.qcow2'), { clusterBytes: 5 })).rejects.toMatchObject(
    invalid,
  );
  await disk.close();
  await expect(exportDisk(disk, out('a.raw'))).rejects.toMatchObject({ code: 'CLOSED' });
  expect(existsSync(out('a.raw'))).toBe(false);
  expect(readdirSync(dirname(path))).toEqual(['five-snapshots.qcow2']);
});
