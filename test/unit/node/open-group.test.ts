import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { GroupRecordFile } from '../../../src/node/files/group-record.js';
import { openFile, openGroup } from '../../../src/node/index.js';
import { checkPlain } from '../../support/crash-judge.js';
import { temporaryDirectory } from '../../support/directories.js';
import { alike } from '../../support/group-cuts.js';

const RECORDED = { headerBefore: '00'.repeat(72), headerAfter: '11'.repeat(72), chosen: [] };
const REQUEST = {
  operation: 'create',
  name: 'new',
  date: { seconds: 1, nanoseconds: 2 },
} as const;

let folder: string;
let paths: readonly [string, string];

beforeEach(async () => {
  folder = mkdtempSync(path.join(temporaryDirectory(), 'group-'));
  mkdirSync(path.join(folder, 'nvram'));
  paths = [path.join(folder, 'vm.qcow2'), path.join(folder, 'nvram/vm_VARS.qcow2')];
  writeFileSync(paths[0], await alike('cluster-512'));
  writeFileSync(paths[1], await alike('l1-larger-than-needed'));
});

function expectSound(): void {
  for (const file of paths) expect(checkPlain(readFileSync(file)).corruptions).toEqual([]);
}

/** Works with the record of these images. */
async function withRecord<T>(
  files: readonly string[],
  work: (record: GroupRecordFile) => Promise<T>,
): Promise<T> {
  const sources = await Promise.all(files.map((file) => openFile(file)));
  try {
    return await work(await GroupRecordFile.of(sources));
  } finally {
    for (const source of sources) await source.close();
  }
}

const place = (): string => path.join(folder, '.vm.qcow2.qsnap-group');
const write = (): Promise<void> =>
  withRecord(paths, (record) => record.write(REQUEST, [RECORDED, RECORDED]));

test('edits all images, and leaves nothing beside them', async () => {
  const group = await openGroup(paths, { write: true });
  await group.create('new');
  await group.close();
  expect(readdirSync(folder).toSorted()).toEqual(['nvram', 'vm.qcow2']);
  const reading = await openGroup(paths);
  expect((await reading.list()).names.at(-1)).toMatchObject({ name: 'new', isEverywhere: true });
  await expect(reading.create('more')).rejects.toMatchObject({ code: 'READ_ONLY' });
  await reading.close();
  expectSound();
});

test('all are locked from the start', async () => {
  const group = await openGroup(paths, { write: true });
  await expect(openGroup([paths[1]], { write: true })).rejects.toMatchObject({
    code: 'IMAGE_IN_USE',
  });
  await group.close();
  await (await openGroup(paths, { write: true })).close();
  // What was opened before the one that fails is closed.
  const missing = path.join(folder, 'missing');
  await expect(openGroup([...paths, missing], { write: true })).rejects.toMatchObject({
    code: 'OPEN_FAILED',
  });
  await (await openGroup(paths, { write: true })).close();
  expectSound();
});

test('a file by two names, or no file, makes no group', async () => {
  const link = path.join(folder, 'link');
  symlinkSync(paths[0], link);
  for (const named of [[paths[0], paths[0]], [paths[0], link], [], Array(2000).fill('x')]) {
    await expect(openGroup(named as string[])).rejects.toMatchObject({ code: 'GROUP_INVALID' });
  }
  await expect(openGroup('x' as unknown as string[])).rejects.toThrow(TypeError);
  expectSound();
});

test('the record lies beside the first image, by its real name, and is found in any order', async () => {
  const link = path.join(folder, 'nvram/link');
  symlinkSync(paths[0], link);
  await withRecord([link, paths[1]], (record) => record.write(REQUEST, [RECORDED, RECORDED]));
  expect(existsSync(place())).toBe(true);
  expect(statSync(place()).mode & 0o777).toBe(0o600);
  const found = await withRecord([paths[1], link], (record) => record.read());
  expect(found).toMatchObject({ label: place(), request: REQUEST, files: paths });
  expect(found!.images).toHaveLength(2);
  // Of fewer images, or more, it is not.
  expect((await withRecord([paths[0]], (record) => record.read()))!.images).toBeUndefined();
  expectSound();
});

test('it may be moved with the images below its folder', async () => {
  await write();
  const moved = `${folder}-moved`;
  renameSync(folder, moved);
  const files = paths.map((file) => file.replace(folder, moved));
  expect((await withRecord(files, (record) => record.read()))!.images).toHaveLength(2);
  renameSync(moved, folder);
});

test('it takes the place of the one that was found, and what a cut left of one is removed', async () => {
  await write();
  const partial = path.join(folder, '..vm.qcow2.qsnap-group.qsnap-partial');
  writeFileSync(partial, 'half');
  const reversed = [paths[1], paths[0]];
  await withRecord(reversed, async (record) => {
    await record.read();
    await record.write({ ...REQUEST, name: 'other' }, [RECORDED, RECORDED]);
  });
  expect(readdirSync(folder).toSorted()).toEqual(['.vm.qcow2.qsnap-group', 'nvram', 'vm.qcow2']);
  await withRecord(reversed, async (record) => {
    expect(await record.read()).toMatchObject({ request: { name: 'other' } });
    await record.remove();
    expect(await record.read()).toBeUndefined();
    await record.remove();
  });
  expect(existsSync(place())).toBe(false);
});

test('what is no record is refused by its name', async () => {
  const read = (): Promise<unknown> => withRecord(paths, (record) => record.read());
  writeFileSync(place(), 'not a record');
  await expect(read()).rejects.toMatchObject({
    code: 'GROUP_RECORD_INVALID',
    details: { file: place() },
  });
  truncateSync(place(), 2 ** 30);
  await expect(read()).rejects.toMatchObject({ code: 'GROUP_RECORD_INVALID' });
  unlinkSync(place());
  mkdirSync(place());
  await expect(read()).rejects.toMatchObject({ code: 'GROUP_RECORD_INVALID' });
});

test('a record that leads elsewhere is not followed', async () => {
  symlinkSync('/dev/zero', place());
  await expect(withRecord(paths, (record) => record.read())).rejects.toMatchObject({
    code: 'OPEN_FAILED',
  });
});
