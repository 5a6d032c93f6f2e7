import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { ImageGroup } from '../../../src/api/group/image-group.js';
import type { GroupRequest } from '../../../src/api/group/request.js';
import { GroupRecordFile } from '../../../src/node/files/group-record.js';
import { bytesOfRecord } from '../../../src/node/files/read-group-record.js';
import { openFile, openFileForEdit, openGroup } from '../../../src/node/index.js';
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
const RECORDED_TWICE = [RECORDED, RECORDED] as const;
async function written(record: GroupRecordFile, request: GroupRequest = REQUEST): Promise<void> {
  await record.prepare();
  await record.write(request, RECORDED_TWICE);
}
const write = (): Promise<void> => withRecord(paths, (record) => written(record));

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
  await withRecord([link, paths[1]], (record) => written(record));
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
    await written(record, { ...REQUEST, name: 'other' });
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
    code: 'GROUP_RECORD_INVALID',
    details: { file: place() },
  });
});

test('a record of a user who has no say in the image is refused', async () => {
  await write();
  const { uid } = statSync(place());
  const read = (): Promise<unknown> => withRecord(paths, (record) => record.read());
  const who = vi.spyOn(process, 'geteuid');
  // The image is of root or of who runs this: the record is read.
  who.mockReturnValue(uid + 1);
  expect(await read()).toBeDefined();
  const bytes = { path: place(), image: paths[0], imageOwner: uid + 2 };
  if (uid === 0) chownSync(place(), 77, 77);
  await expect(bytesOfRecord(bytes)).rejects.toMatchObject({
    code: 'GROUP_RECORD_INVALID',
    message: expect.stringContaining(`nor the owner of ${paths[0]}`) as string,
    details: { file: place() },
  });
  expect(await bytesOfRecord({ ...bytes, imageOwner: statSync(place()).uid })).toBeDefined();
  who.mockReturnValue(statSync(place()).uid);
  expect(await bytesOfRecord(bytes)).toBeDefined();
  who.mockRestore();
});

test('devices alone are refused when they are planned', async () => {
  const sources = await Promise.all(paths.map((file) => openFile(file)));
  const devices = sources.map((source) => Object.assign(source, { path: '/dev/null' }));
  const group = new ImageGroup(devices, await GroupRecordFile.of(devices));
  await expect(group.planCreate('new')).rejects.toMatchObject({
    code: 'GROUP_INVALID',
    details: { hint: 'edit the devices one by one' },
  });
  await group.close();
});

test('a record that can not be written is known before anything is', async () => {
  const before = paths.map((file) => readFileSync(file));
  // Nobody can make the temporary file.
  const partial = path.join(folder, '..vm.qcow2.qsnap-group.qsnap-partial');
  mkdirSync(partial);
  const group = await openGroup(paths, { write: true });
  await expect(group.create('new')).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    details: { imageState: 'unchanged', file: partial },
  });
  expect(paths.map((file) => readFileSync(file))).toEqual(before);
  rmdirSync(partial);
  const moved = `${folder}-moved`;
  renameSync(folder, moved);
  await expect(group.planCreate('new')).rejects.toMatchObject({
    code: 'OPEN_FAILED',
    details: { hint: expect.stringContaining('another image of the group first') as string },
  });
  renameSync(moved, folder);
  await group.create('new');
  await group.close();
  expect(readdirSync(folder).toSorted()).toEqual(['nvram', 'vm.qcow2']);
  expectSound();
});

test.each(['x'.repeat(240), 'ü'.repeat(120)])('an image with a long name: %s', async (name) => {
  const long = path.join(folder, name);
  renameSync(paths[0], long);
  paths = [long, paths[1]];
  await write();
  expect(readdirSync(folder)).toContainEqual(
    expect.stringMatching(/^\.(x+|ü+)~[0-9a-f]{16}\.qsnap-group$/),
  );
  expect(await withRecord(paths, (record) => record.read())).toMatchObject({ request: REQUEST });
  await withRecord(paths, (record) => record.remove());
  const group = await openGroup(paths, { write: true });
  await group.create('new');
  await group.close();
  expectSound();
});

test('a resume with nothing to do removes what a cut left of a record', async () => {
  const partial = path.join(folder, '..vm.qcow2.qsnap-group.qsnap-partial');
  const resume = async (): Promise<unknown> => {
    const group = await openGroup(paths, { write: true });
    try {
      return await group.resume();
    } finally {
      await group.close();
    }
  };
  writeFileSync(partial, 'half');
  expect(await resume()).toBeUndefined();
  expect(existsSync(partial)).toBe(false);
  // What is no file, or is being written, stays.
  mkdirSync(partial);
  expect(await resume()).toBeUndefined();
  rmdirSync(partial);
  writeFileSync(partial, 'half');
  const other = await openFileForEdit(partial);
  expect(await resume()).toBeUndefined();
  await other.close();
  expect(existsSync(partial)).toBe(true);
  expectSound();
});
