import { createHash } from 'node:crypto';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect, test } from 'vitest';
import type { Extent, Progress, QcowDisk } from '../../../src/index.js';
import { expectedContents, recipe } from '../../support/fixture.js';
import { closedSound, opened } from './images.js';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const whole = (disk: QcowDisk): Promise<Uint8Array> => disk.read(0, disk.sizeBytes);

/** All bytes of a stream, by Node's own pipeline. */
async function piped(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  await pipeline(stream, sink);
  return Buffer.concat(chunks);
}

test('the active disk and those of all snapshots, by position, name and value', async () => {
  const { image } = await opened('five-snapshots');
  const { active, snapshots } = expectedContents('five-snapshots');
  expect(sha256(await whole(await image.disk()))).toBe(active.sha256);
  expect(sha256(await whole(await image.disk(undefined)))).toBe(active.sha256);
  for (const snapshot of image.snapshots) {
    const { sha256: wanted } = snapshots.find(({ id }) => id === snapshot.id)!;
    for (const choice of [snapshot, `#${snapshot.index}`, `id:${snapshot.id}`]) {
      const disk = await image.disk(choice);
      expect(disk.snapshot).toBe(snapshot);
      expect(sha256(await whole(disk))).toBe(wanted);
    }
  }
});

test.each(['compressed-zlib', 'compressed-zstd'])('%s is unpacked', async (name) => {
  const { image } = await opened(name);
  expect(sha256(await whole(await image.disk()))).toBe(expectedContents(name).active.sha256);
});

test.each(['luks', 'aes'])('%s takes a passphrase, as text or bytes', async (name) => {
  const { image } = await opened(name);
  const secret = recipe(name).secret!;
  for (const passphrase of [secret, new TextEncoder().encode(secret)]) {
    const disk = await image.disk({ passphrase });
    expect(sha256(await whole(disk))).toBe(expectedContents(name).active.sha256);
  }
  const locked = await image.disk();
  await expect(whole(locked)).rejects.toMatchObject({ code: 'ENCRYPTED' });
});

test('a wrong passphrase', async () => {
  const { image } = await opened('luks');
  await expect(image.disk({ passphrase: 'wrong' })).rejects.toMatchObject({
    code: 'PASSPHRASE_WRONG',
  });
});

test('a backing file is opened by a gate, for who asks', async () => {
  const { image } = await opened('backing-chain');
  expect(image.backingName).toBeDefined();
  await expect(whole(await image.disk())).rejects.toMatchObject({ code: 'BACKING_REFUSED' });
  await expect(image.disk({ backing: true })).rejects.toMatchObject({
    code: 'BACKING_REFUSED',
    message: 'nothing here opens the files that an image names',
  });
});

test('a read ends where the disk does, and has a buffer of its own', async () => {
  const { image } = await opened('five-snapshots');
  const disk = await image.disk();
  const all = await whole(disk);
  expect(await disk.read(disk.sizeBytes - 10, 100)).toEqual(all.slice(-10));
  expect(await disk.read(disk.sizeBytes + 10, 100)).toEqual(new Uint8Array(0));
  const part = await disk.read(513, 1000);
  expect(part).toEqual(all.slice(513, 1513));
  expect(part.buffer.byteLength).toBe(1000);
});

test.each([
  [-1, 1],
  [0.5, 1],
  [0, -1],
  [0, NaN],
  [NaN, 1],
  [0, Infinity],
  [2 ** 53, 1],
])('read(%d, %d) is no range', async (at, length) => {
  const { image } = await opened('five-snapshots');
  const disk = await image.disk();
  await expect(disk.read(at, length)).rejects.toMatchObject({ code: 'RANGE_INVALID' });
});

test('ranges of streams and extents are held to the same', async () => {
  const { image } = await opened('five-snapshots');
  const disk = await image.disk();
  expect(() => disk.stream({ at: -1 })).toThrow('at is -1, which is no number of bytes');
  expect(() => disk.stream({ chunkBytes: 0 })).toThrow('chunkBytes is 0');
  await expect(disk.extents({ length: 0.5 }).next()).rejects.toMatchObject({
    code: 'RANGE_INVALID',
  });
});

test('more than memory holds: read in parts, or as a stream', async () => {
  const on = await opened('five-snapshots');
  await on.image.resize(2 ** 45);
  const disk = await on.image.disk();
  await expect(whole(disk)).rejects.toMatchObject({ code: 'RANGE_INVALID' });
  await closedSound(on);
});

test("a stream is what Node's pipeline takes, whole or in part", async () => {
  const { image } = await opened('five-snapshots');
  const disk = await image.disk('#1');
  const all = await whole(disk);
  const told: Progress[] = [];
  const bytes = await piped(disk.stream({ onProgress: (one) => told.push(one) }));
  expect(sha256(bytes)).toBe(sha256(all));
  const { sizeBytes: total } = disk;
  expect(told.at(-1)).toEqual({ phase: 'reading', done: total, total });
  const part = await piped(disk.stream({ at: 1000, length: 5000, chunkBytes: 777 }));
  expect(sha256(part)).toBe(sha256(all.slice(1000, 6000)));
  expect(await piped(disk.stream({ at: disk.sizeBytes }))).toHaveLength(0);
});

test('a stream that is cancelled reads no further', async () => {
  const { image } = await opened('five-snapshots');
  const disk = await image.disk();
  const reader = disk.stream({ chunkBytes: 512 }).getReader();
  expect((await reader.read()).value).toHaveLength(512);
  await reader.cancel();
  await disk.close();
});

test('extents one by one, without gaps', async () => {
  const { image } = await opened('five-snapshots');
  const disk = await image.disk();
  const extents: Extent[] = [];
  for await (const extent of disk.extents()) extents.push(extent);
  let at = 0;
  for (const { start, length } of extents) {
    expect(start).toBe(at);
    at += length;
  }
  expect(at).toBe(disk.sizeBytes);
  const part: Extent[] = [];
  for await (const extent of disk.extents({ at: 512, length: 512 })) part.push(extent);
  expect(part.reduce((sum, { length }) => sum + length, 0)).toBe(512);
  for await (const extent of disk.extents({ layers: 'own' })) {
    expect(extent.start).toBe(0);
    break;
  }
});

test('after an edit a disk is refused, and one that is opened anew is not', async () => {
  const on = await opened('five-snapshots');
  const disk = await on.image.disk();
  const stream = disk.stream({ chunkBytes: 512 }).getReader();
  const extents = disk.extents();
  await extents.next();
  await on.image.create('x');
  const changed = { code: 'IMAGE_CHANGED' };
  await expect(disk.read(0, 512)).rejects.toMatchObject(changed);
  // One chunk was read before.
  await stream.read();
  await expect(stream.read()).rejects.toMatchObject(changed);
  await (await on.image.disk()).read(0, 512);
  await closedSound(on);
});

test('what was read while an edit began is not handed out', async () => {
  const on = await opened('five-snapshots');
  const disk = await on.image.disk();
  const readBatch = disk.guest.readBatch.bind(disk.guest);
  disk.guest.readBatch = async (requests) => {
    await readBatch(requests);
    await on.image.create('meanwhile');
  };
  await expect(disk.read(0, 512)).rejects.toMatchObject({ code: 'IMAGE_CHANGED' });
  await closedSound(on);
});
