import { expect, test } from 'vitest';
import {
  diffDisks,
  openImage,
  planRename,
  executePlan,
  type DiffRange,
  type Progress,
} from '../../../src/index.js';
import { recipe } from '../../support/fixture.js';
import { closedSound, opened } from './images.js';

async function all(diff: AsyncIterable<DiffRange>): Promise<readonly DiffRange[]> {
  const ranges: DiffRange[] = [];
  for await (const range of diff) ranges.push(range);
  return ranges;
}

test('two snapshots, a snapshot and the active disk, a disk and itself', async () => {
  const on = await opened('five-snapshots');
  const { image } = on;
  const forth = await all(image.diff('id:1', 'id:3'));
  const back = await all(image.diff(image.snapshots[2], '#0'));
  expect(forth.length).toBeGreaterThan(0);
  const bytes = (ranges: readonly DiffRange[]) => ranges.reduce((sum, r) => sum + r.length, 0);
  expect(bytes(back)).toBe(bytes(forth));
  expect(bytes(await all(image.diff('id:1')))).toBe(
    bytes(await all(image.diff(undefined, 'id:1'))),
  );
  expect(await all(image.diff(undefined))).toEqual([]);
  expect(await all(image.diff('id:3', 'id:3'))).toEqual([]);
  await closedSound(on);
});

test('equal bytes in other clusters are told with `content` alone', async () => {
  const on = await opened('five-snapshots');
  const { image } = on;
  const ranges = await all(image.diff('id:1', 'id:3'));
  const told: Progress[] = [];
  const onProgress = (progress: Progress): void => void told.push(progress);
  const content = await all(image.diff('id:1', 'id:3', { content: true, onProgress }));
  expect(content.filter(({ kind }) => kind !== 'same-content').length).toBeGreaterThan(0);
  expect(ranges.some(({ kind }) => kind === 'same-content')).toBe(false);
  expect(told.at(-1)).toMatchObject({ phase: 'reading', done: image.diskSizeBytes });
  await closedSound(on);
});

test('content of an encrypted image takes a passphrase, and its tables do not', async () => {
  const on = await opened('luks');
  const { image } = on;
  const ranges = await all(image.diff('#0', '#1'));
  expect(ranges.length).toBeGreaterThan(0);
  await expect(all(image.diff('#0', '#1', { content: true }))).rejects.toMatchObject({
    code: 'ENCRYPTED',
  });
  const { secret } = recipe('luks');
  const content = await all(image.diff('#0', '#1', { content: true, passphrase: secret }));
  expect(content.length).toBeGreaterThan(0);
  await closedSound(on);
});

test('an edit in between ends it, and an older snapshot is refused', async () => {
  const on = await opened('five-snapshots');
  const { image } = on;
  const [first] = image.snapshots;
  const running = image.diff('id:2', 'id:3');
  const next = await running.next();
  expect(next.done).toBe(false);
  const late = await openImage(on.device);
  const differences = diffDisks(late, first, undefined);
  await executePlan(await planRename(await openImage(on.device), first!, 'other'));
  await expect(all(running)).resolves.toBeDefined();
  await expect(differences.next()).rejects.toMatchObject({ code: 'IMAGE_CHANGED' });
  await expect(all(image.diff(first))).rejects.toMatchObject({ code: 'SNAPSHOT_STALE' });
  await closedSound(on);
});
