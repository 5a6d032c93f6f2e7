/** Hashes of many disks in one pass: each distinct cluster is read once, and hashes share what is alike. */
import { expect, test } from 'vitest';
import { openImage } from '../../../../src/image/open.js';
import { QsnapError } from '../../../../src/errors.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { viewOf } from '../../../../src/io/view.js';
import type { BlockSource } from '../../../../src/io/device.js';
import { newSha256 } from '../../../../src/node/sha256.js';
import type { GuestDisk } from '../../../../src/read/guest/disk.js';
import { openGuestDisk } from '../../../../src/read/guest/open-guest-disk.js';
import { hashDisks } from '../../../../src/read/hash/hash-disks.js';
import type { HashedPiece } from '../../../../src/read/hash/hash-options.js';
import { HashGroups } from '../../../../src/read/hash/hash-groups.js';
import { loadFixture } from '../../../support/fixture.js';

test('no byte of the file is read twice for its disks', async () => {
  const bytes = loadFixture('five-snapshots');
  const device = memoryDevice(bytes);
  const image = await openImage(device);
  const reads = new Map<number, number>();
  let isCounting = false;
  const readBatch: BlockSource['readBatch'] = (requests) => {
    if (isCounting) {
      for (const { at, into } of requests) {
        for (let i = at; i < at + into.length; i += 512) reads.set(i, (reads.get(i) ?? 0) + 1);
      }
    }
    return device.readBatch(requests);
  };
  const counted = { ...image, source: viewOf(device, new Map([['readBatch', readBatch]])) };
  const disks = [];
  for (const snapshot of [undefined, ...image.snapshots]) {
    disks.push({ snapshot, disk: await openGuestDisk(counted, { snapshot }) });
  }
  isCounting = true;
  const hashes = await hashDisks(image, disks, { newHasher: newSha256 });
  expect(new Set(hashes.map(({ digest }) => digest)).size).toBe(6);
  // Each disk reads its own L2 tables once more; there are six of them, of 64 KiB at most.
  const twice = [...reads.values()].filter((count) => count > 1).length * 512;
  expect(reads.size * 512).toBeGreaterThan(2 ** 20);
  expect(twice).toBeLessThanOrEqual(6 * 65536);
});

test('groups fork where disks part, and hash what they share once', () => {
  let updates = 0;
  const counting = (inner = newSha256()): ReturnType<typeof newSha256> => ({
    update: (bytes) => {
      updates += 1;
      inner.update(bytes);
    },
    digest: () => inner.digest(),
    fork: () => counting(inner.fork()),
  });
  const groups = new HashGroups([0, 1, 2], () => counting());
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  groups.update(() => 'a', bytes);
  groups.update((disk) => (disk === 1 ? 'x' : 'b'), bytes);
  groups.update(() => 'c', bytes);
  expect(updates).toBe(5);
  const digests = groups.digests(() => true);
  const of = (text: string): string => {
    const hasher = newSha256();
    hasher.update(bytes(text));
    return hasher.digest();
  };
  expect([...digests].sort()).toEqual([
    [0, of('abc')],
    [1, of('axc')],
    [2, of('abc')],
  ]);
});

async function opened() {
  const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
  const disks = [];
  for (const snapshot of [undefined, ...image.snapshots]) {
    disks.push({ snapshot, disk: await openGuestDisk(image, { snapshot }) });
  }
  return { image, disks };
}

test('pieces of all disks have the hashes of their bytes', async () => {
  const { image, disks } = await opened();
  const pieces: HashedPiece[] = [];
  const hashes = await hashDisks(image, disks, {
    newHasher: newSha256,
    whole: false,
    pieceBytes: 65_536,
    onPiece: (piece) => {
      pieces.push(piece);
    },
  });
  expect(hashes.every(({ digest, error }) => (digest ?? error) === undefined)).toBe(true);
  for (const [i, { disk }] of disks.entries()) {
    const ofDisk = pieces.filter((piece) => piece.disk === i);
    expect(ofDisk.length).toBe(Math.ceil((await disk.sizeBytes()) / 65_536));
    for (const { at, length, digest } of ofDisk) {
      const into = new Uint8Array(length);
      await disk.readBatch([{ at, into }]);
      const hasher = newSha256();
      hasher.update(into);
      expect(digest).toBe(hasher.digest());
    }
  }
});

test('a disk that is damaged is lost, with the reason, and so is who shares the damage, and nobody else', async () => {
  const { image, disks } = await opened();
  const sound = await hashDisks(image, disks, { newHasher: newSha256 });
  const damage = new QsnapError('IMAGE_DAMAGED', 'a cluster is not as it should be');
  const damaged = Object.create(disks[0]!.disk, {
    readBatch: { value: () => Promise.reject(damage) },
  }) as GuestDisk;
  const all = [{ snapshot: undefined, disk: damaged }, ...disks.slice(1)];
  const hashes = await hashDisks(image, all, { newHasher: newSha256 });
  expect(hashes[0]).toEqual({ digest: undefined, error: damage });
  for (const [i, hash] of hashes.entries()) {
    expect([sound[i], { digest: undefined, error: damage }]).toContainEqual(hash);
  }
});
