import { expect, test } from 'vitest';
import {
  checkImage,
  diffDisks,
  executePlan,
  memoryDevice,
  newQcow2Writer,
  openGuestDisk,
  openImage,
  planCreate,
  type DiffRange,
  type OpenImage,
} from '../../../../src/index.js';
import { nodeDecompressor } from '../../../../src/node/index.js';
import { loadFixture } from '../../../support/fixture.js';
import { layoutOf, offsetAt, putU64, snapshotsOf } from '../../../support/image-builder-layout.js';
import { PLAIN } from '../../../support/new-image.js';
import { plainDiff } from '../../../support/plain-diff.js';
import { recordingDevice } from '../../../support/recording-device.js';

async function all(batches: AsyncIterable<readonly DiffRange[]>): Promise<readonly DiffRange[]> {
  const found: DiffRange[] = [];
  for await (const ranges of batches) found.push(...ranges);
  return found;
}

const opened = (bytes: Uint8Array): Promise<OpenImage> => openImage(memoryDevice(bytes));

test('no table that both disks have is read, and no data', async () => {
  const bytes = loadFixture('refcount-many-blocks');
  const device = recordingDevice(bytes);
  const image = await openImage(device);
  const { l1At, clusterBytes } = layoutOf(bytes);
  const [snapshot] = snapshotsOf(bytes).snapshots;
  const entries = Math.min(image.header.activeL1.entries, snapshot!.l1Entries);
  const before = device.log.length;
  await all(diffDisks(image, image.snapshots[0], undefined));
  const read = device.log.slice(before).flatMap((call) => (call.kind === 'read' ? [call] : []));
  const allowed = new Set([l1At, snapshot!.l1At]);
  let shared = 0;
  for (let i = 0; i < entries; i += 1) {
    const [ours, others] = [l1At, snapshot!.l1At].map((at) => offsetAt(bytes, at + i * 8));
    if (ours === others) shared += 1;
    else for (const at of [ours!, others!]) allowed.add(at);
  }
  expect(shared).toBeGreaterThan(0);
  expect(read.length).toBeGreaterThan(2);
  for (const { at, length } of read) {
    expect(allowed.has(at), String(at)).toBe(true);
    if (at !== l1At && at !== snapshot!.l1At) expect(length).toBe(clusterBytes);
  }
});

test('a large table is read once, in however many pieces it is looked at', async () => {
  const MiB = 2 ** 20;
  const device = memoryDevice(new Uint8Array(0), 'large', { growable: true });
  const options = { ...PLAIN, clusterBytes: 2 * MiB, diskSizeBytes: 2 ** 36 };
  const writer = await newQcow2Writer(device, options);
  const bytes = new Uint8Array(2 * MiB).fill(7);
  const places = [0, 3 * 2 ** 34];
  await writer.writeBatch(places.map((at) => ({ kind: 'data', at, bytes })));
  await writer.finish();
  const date = { seconds: 0, nanoseconds: 0 };
  await executePlan(await planCreate(await openImage(device), { name: 'before', date }));
  expect((await checkImage(device)).exitCode).toBe(0);
  // The active disk gets a table of its own, with two entries less.
  const made = device.snapshotBytes();
  const ownAt = Math.ceil(made.length / bytes.length) * bytes.length;
  const changed = new Uint8Array(ownAt + bytes.length);
  changed.set(made);
  const { l1At } = layoutOf(changed);
  const tableAt = offsetAt(changed, l1At);
  putU64(changed, l1At, BigInt(ownAt));
  const recording = recordingDevice(changed);
  const image = await openImage(recording);
  const [snapshot] = image.snapshots;
  const readsOf = (): number =>
    recording.log.filter((call) => {
      return call.kind === 'read' && (call.at === tableAt || call.at === ownAt);
    }).length;
  const unmapped = places.map((start) => ({ start, length: 2 * MiB, kind: 'unmapped' }));
  expect(await all(diffDisks(image, snapshot, undefined))).toEqual(unmapped);
  expect(readsOf()).toBe(2);
  const disk = await openGuestDisk(image, { snapshot });
  for await (const extents of disk.extents(0, 2 ** 36)) expect(extents).not.toEqual([]);
  expect(readsOf()).toBe(3);
});

test('a table that the file ends before is an error', async () => {
  const bytes = loadFixture('five-snapshots');
  const { l1At } = layoutOf(bytes);
  const image = await opened(bytes);
  const whole = await all(diffDisks(image, image.snapshots[0], undefined));
  expect(whole.length).toBeGreaterThan(1);
  // A copy of the active L2 table at the end of the file, of which half is missing.
  const table = bytes.slice(offsetAt(bytes, l1At), offsetAt(bytes, l1At) + 65536);
  const end = Math.ceil(bytes.length / 65536) * 65536;
  const cut = new Uint8Array(end + 16);
  cut.set(bytes);
  cut.set(table.subarray(0, 16), end);
  putU64(cut, l1At, BigInt(end));
  const damaged = await opened(cut);
  await expect(all(diffDisks(damaged, damaged.snapshots[0], undefined))).rejects.toMatchObject({
    code: 'IMAGE_TRUNCATED',
  });
});

test('an L1 entry that can not be right is an error where the disks differ in it, and only there', async () => {
  const bytes = loadFixture('five-snapshots');
  const { l1At } = layoutOf(bytes);
  putU64(bytes, l1At, BigInt(offsetAt(bytes, l1At) + 512));
  const image = await opened(bytes);
  await expect(all(diffDisks(image, image.snapshots[0], undefined))).rejects.toMatchObject({
    code: 'IMAGE_DAMAGED',
  });
  expect(await all(diffDisks(image, undefined, undefined))).toEqual([]);
});

test.each(['resized-larger', 'resized-smaller'])(
  '%s: what lies behind the end of one disk',
  async (name) => {
    const bytes = loadFixture(name);
    const image = await opened(bytes);
    for (const snapshot of image.snapshots) {
      const forth = await all(diffDisks(image, snapshot, undefined));
      const back = await all(diffDisks(image, undefined, snapshot));
      expect(forth).toEqual(plainDiff(bytes, snapshot.index, undefined, false));
      expect(back).toEqual(plainDiff(bytes, undefined, snapshot.index, false));
      const end = snapshot.diskSizeBytes;
      for (const { start, length, kind } of back) {
        if (start + length > end) expect(kind).toBe('unmapped');
      }
    }
  },
);

test('clusters with the same bytes are told apart by their content alone', async () => {
  // Five snapshots of one guest: some of what it wrote it wrote again.
  const bytes = loadFixture('compressed-zlib');
  const image = await opened(bytes);
  const [before] = image.snapshots;
  const open = (snapshot: typeof before) =>
    openGuestDisk(image, { snapshot, decompressor: nodeDecompressor() });
  const [a, b] = [await open(before), await open(undefined)];
  const content = async (range: DiffRange) => {
    const sides = [new Uint8Array(range.length), new Uint8Array(range.length)] as const;
    await a.readBatch([{ at: range.start, into: sides[0] }]);
    await b.readBatch([{ at: range.start, into: sides[1] }]);
    return Buffer.compare(sides[0], sides[1]) === 0;
  };
  const compared: number[] = [];
  const isEqual = (ours: Uint8Array, others: Uint8Array): boolean => {
    compared.push(ours.length);
    return Buffer.compare(ours, others) === 0;
  };
  for (const options of [{ content: { a, b } }, { content: { a, b, isEqual } }]) {
    const found = await all(diffDisks(image, before, undefined, options));
    expect(found.length).toBeGreaterThan(0);
    for (const range of found) expect(await content(range)).toBe(range.kind === 'same-content');
  }
  expect(Math.max(...compared)).toBe(image.geometry.clusterBytes);
});

test('it tells how it goes on, and stops', async () => {
  const image = await opened(loadFixture('five-snapshots'));
  const told: number[] = [];
  const onProgress = (done: number, of: number): void => void told.push(done / of);
  await all(diffDisks(image, image.snapshots[0], undefined, { onProgress }));
  expect(told.at(-1)).toBe(1);
  const signal = AbortSignal.abort();
  const stopped = diffDisks(image, image.snapshots[0], undefined, { signal });
  await expect(all(stopped)).rejects.toMatchObject({ code: 'ABORTED' });
});
