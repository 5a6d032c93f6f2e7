/** Arguments that a program without types may give: an edit is never another one than was meant. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { memoryDevice, openQcow, type QcowDisk } from '../../../src/index.js';
import { exportDisk, openImageFile } from '../../../src/node/index.js';
import { nextDescriptor } from '../../support/descriptors.js';
import { temporaryDirectory } from '../../support/directories.js';
import { copyFixture, loadFixture } from '../../support/fixture.js';
import { closedSound, expectSame, opened } from './images.js';

/** The methods as a program without types sees them. */
type Untyped = Record<string, (...args: unknown[]) => Promise<unknown>>;

const first = (iterable: unknown): Promise<unknown> =>
  (iterable as AsyncIterable<unknown>)[Symbol.asyncIterator]().next();

const CALLS: Readonly<Record<string, (image: Untyped) => Promise<unknown>>> = {
  'an id that is a number': (image) => image['create']!('new', { id: 5 }),
  'a name that is a number': (image) => image['create']!(5),
  'a name among the options': (image) => image['create']!({ name: 'x' }),
  'a date that is misspelt': (image) => image['create']!('new', { dat: new Date() }),
  'delete: a dry run': (image) => image['delete']!('id:4', { dryRun: true }),
  'delete: a second snapshot in place of options': (image) => image['delete']!('id:2', 'id:3'),
  'apply: an unknown option': (image) => image['apply']!('id:1', { force: true }),
  'rename: an unknown option': (image) => image['rename']!('id:1', 'x', { dryRun: true }),
  'resize: an unknown option': (image) => image['resize']!(2 ** 30, { grow: true }),
  'write: one piece': (image) => image['write']!({ at: 0, bytes: new Uint8Array(512) }),
  'write: a text': (image) => image['write']!([{ at: 0, bytes: 'text' }]),
  'write: a length that is misspelt': (image) => image['write']!([{ at: 0, length: 512 }]),
  'write: an unknown option': (image) => image['write']!([], { key: 'x' }),
  'setBacking: nothing': (image) => image['setBacking']!(),
  'setBacking: a text': (image) => image['setBacking']!('base.qcow2'),
  'setBacking: without a name': (image) => image['setBacking']!({ format: 'raw' }),
  'setBacking: a format that is misspelt': (image) =>
    image['setBacking']!({ name: 'a', fmt: 'raw' }),
  'setBacking: an unknown option': (image) => image['setBacking']!('none', { dryRun: true }),
  'strip: an unknown option': (image) => image['strip']!({ all: true }),
  'strip: snapshots that are no list': (image) => image['strip']!({ snapshots: 'id:1' }),
  'trim: an unknown option': (image) => image['trim']!({ move: true }),
  'scrub: an unknown option': (image) => image['scrub']!({ mode: 'punch' }),
  'trim: a flag that is a text': (image) => image['trim']!({ relocate: 'yes' }),
  'repair: options in place of targets': (image) => image['repair']!({ dryRun: true }),
  'repair: a dry run': (image) => image['repair']!('all', { dryRun: true }),
  'repair: a number': (image) => image['repair']!(5),
  'planRepair: an unknown option': (image) => image['planRepair']!('all', { dryRun: true }),
  'planDelete: an unknown option': (image) => image['planDelete']!('id:1', { inplace: true }),
  'disk: a snapshot among the options': (image) => image['disk']!({ snapshot: 'golden' }),
  'disk: a number': (image) => image['disk']!(1),
  'check: a signal of another kind': (image) => image['check']!({ signal: new AbortController() }),
  'check: fewer findings than none': (image) => image['check']!({ maxFindings: -1 }),
  'check: an unknown option': (image) => image['check']!({ repair: true }),
  'unsavedChanges: an unknown option': (image) => image['unsavedChanges']!({ verbose: true }),
  'usage: a listener that is none': (image) => image['usage']!({ onProgress: true }),
  'owners: an unknown option': (image) => first(image['owners']!({ snapshot: 'id:1' })),
  'resize: a preallocation that there is not': (image) =>
    image['resize']!(2 ** 30, { preallocation: 'nope' }),
  'resize: a preallocation that is true': (image) =>
    image['resize']!(2 ** 30, { preallocation: true }),
  'resize: a size that is a text': (image) => image['resize']!('1G'),
  'create: a verify that is a text': (image) => image['create']!('new', { verify: 'no' }),
  'create: a date that is null': (image) => image['create']!('new', { date: null }),
  'create: a date that is a text': (image) => image['create']!('new', { date: '2026-01-01' }),
  'create: null in place of options': (image) => image['create']!('new', null),
  'create: without a name': (image) => image['create']!(),
  'delete: an inPlace that is a text': (image) => image['delete']!('id:1', { inPlace: 'false' }),
  'delete: null in place of options': (image) => image['delete']!('id:1', null),
  'delete: a list of numbers': (image) => image['delete']!([1]),
  'delete: without a snapshot': (image) => image['delete']!(),
  'apply: without a snapshot': (image) => image['apply']!(),
  'apply: a discardChanges that is 1': (image) => image['apply']!('id:1', { discardChanges: 1 }),
  'rename: without a name': (image) => image['rename']!('id:1'),
  'rename: without a snapshot': (image) => image['rename']!(undefined, 'x'),
  'repair: a punch that is a text': (image) => image['repair']!('all', { punch: 'no' }),
  'repair: snapshots to drop that are no list': (image) =>
    image['repair']!('all', { dropSnapshots: 'id:1' }),
  'repair: snapshots to drop that are numbers': (image) =>
    image['repair']!('all', { dropSnapshots: [1] }),
  'execute: without a plan': (image) => image['execute']!(),
  'execute: a text': (image) => image['execute']!('delete'),
  'disk: null': (image) => image['disk']!(null, { backing: 'yes' }),
  'disk: an option that is misspelt': (image) => image['disk']!('id:1', { backng: true }),
};

test.each(Object.entries(CALLS))('%s', async (_, call) => {
  const on = await opened('five-snapshots');
  const before = on.device.snapshotBytes();
  const error = await call(on.image as unknown as Untyped).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(TypeError);
  expect((error as Error).message).toMatch(/option|text|target|snapshot|size|plan|backing|piece/);
  expectSame(on.device.snapshotBytes(), before);
  await closedSound(on);
});

test('a stream or extents of a range that is misspelt', async () => {
  const on = await opened('five-snapshots');
  const disk = await on.image.disk();
  const untyped = disk as unknown as Record<string, (options: unknown) => AsyncIterable<unknown>>;
  expect(() => untyped['stream']!({ offset: 512 })).toThrow('no option "offset"');
  const extents = untyped['extents']!({ offset: 512 })[Symbol.asyncIterator]();
  await expect(extents.next()).rejects.toThrow('no option "offset"');
  const diff = (
    on.image as unknown as { diff(...args: unknown[]): AsyncIterableIterator<unknown> }
  ).diff('id:1', 'id:2', { contents: true });
  await expect(diff.next()).rejects.toThrow('no option "contents"');
  await expect(disk.read(0, 512, { sign: undefined } as object)).rejects.toThrow(TypeError);
  expect(() => untyped['stream']!({ at: '512' })).toThrow(TypeError);
  await closedSound(on);
});

test('an image or a source that is opened with something else', async () => {
  const bytes = loadFixture('five-snapshots');
  for (const options of [{ decompressor: {} }, { gate: true }, { decompress: true }, 'x', null]) {
    const opening = openQcow(memoryDevice(bytes), options as object);
    await expect(opening, JSON.stringify(options)).rejects.toThrow(TypeError);
  }
});

test('a file: no option is passed over, and no descriptor stays open', async () => {
  const path = copyFixture('five-snapshots', temporaryDirectory());
  const before = readFileSync(path);
  const open = nextDescriptor();
  const wrong: readonly unknown[] = [{ writes: true }, { write: 1 }, 'w', null, ['write']];
  for (const options of wrong) {
    await expect(openImageFile(path, options as object)).rejects.toThrow(TypeError);
  }
  for (const write of [true, false]) {
    const url = pathToFileURL(path) as unknown as string;
    await expect(openImageFile(url, { write })).rejects.toThrow(TypeError);
  }
  expect(nextDescriptor()).toEqual(open);
  expect(Buffer.compare(readFileSync(path), before)).toBe(0);
});

test('an export: nothing is written', async () => {
  const directory = temporaryDirectory();
  const path = copyFixture('five-snapshots', temporaryDirectory());
  await using image = await openImageFile(path);
  await using disk = await image.disk('id:1');
  const target = join(directory, 'o.qcow2');
  const wrong: readonly unknown[] = [
    // Each of these made an image that nobody can read.
    ...['deflate', 'gzip', '', true, 1, null].map((compress) => ({ compress })),
    ...[
      { format: 'vmdk' },
      { replace: 'yes' },
      { clusterBytes: '64k' },
      { force: true },
      'x',
      null,
    ],
    ...[{ signal: new AbortController() }, { onProgress: 1 }],
  ];
  for (const options of wrong) {
    const exporting = exportDisk(disk, target, options as object);
    await expect(exporting, JSON.stringify(options)).rejects.toThrow(TypeError);
  }
  await expect(exportDisk(image as unknown as QcowDisk, target)).rejects.toThrow(TypeError);
  expect(readdirSync(directory)).toEqual([]);
});
