/** Arguments that a program without types may give: an edit is never another one than was meant. */
import { expect, test } from 'vitest';
import { closedSound, expectSame, opened } from './images.js';

/** The methods as a program without types sees them. */
type Untyped = Record<string, (...args: unknown[]) => Promise<unknown>>;

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
  'repair: options in place of targets': (image) => image['repair']!({ dryRun: true }),
  'repair: a dry run': (image) => image['repair']!('all', { dryRun: true }),
  'repair: a number': (image) => image['repair']!(5),
  'planRepair: an unknown option': (image) => image['planRepair']!('all', { dryRun: true }),
  'planDelete: an unknown option': (image) => image['planDelete']!('id:1', { inplace: true }),
  'disk: a snapshot among the options': (image) => image['disk']!({ snapshot: 'golden' }),
  'disk: a number': (image) => image['disk']!(1),
  'disk: an option that is misspelt': (image) => image['disk']!('id:1', { backng: true }),
};

test.each(Object.entries(CALLS))('%s', async (_, call) => {
  const on = await opened('five-snapshots');
  const before = on.device.snapshotBytes();
  const error = await call(on.image as unknown as Untyped).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  expect((error as Error).message).toMatch(/option|text|target|snapshot|NAME|ID|string/);
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
  await closedSound(on);
});
