/** Hashes of large disks: of pieces, whoever reads them. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { examineImage } from '../../../src/cli/fleet/examine/examine-image.js';
import { compositeDigest, digestsOfRange } from '../../../src/cli/fleet/examine/hash-pieces.js';
import { hashRange } from '../../../src/cli/fleet/examine/hash-range.js';
import {
  HASH_LIMITS,
  type HashedRange,
  type ReadyDigests,
} from '../../../src/cli/fleet/examine/pieces.js';
import { piecesPerJob } from '../../../src/cli/fleet/examine/plan-ranges.js';
import type { ImageRecord } from '../../../src/cli/fleet/examine/record.js';
import { openToHash } from '../../../src/cli/fleet/examine/read-content.js';
import { memoryDevice, profileOf, type QcowDisk } from '../../../src/index.js';
import { temporaryDirectory } from '../../support/directories.js';
import { buildImage, guestWrite, layoutOf, readGuest } from '../../support/image-builder.js';
import {
  composite,
  largeImage,
  RANGES,
  SMALL_LIMITS,
  wantedHashes,
} from '../../support/large-images.js';
import { leaveOut } from '../../support/left-out.js';
import { imageOf } from '../qsnap/harness.js';

const { pieceBytes } = SMALL_LIMITS;
const OPENING = { forceShare: false };

const examined = (
  location: string,
  ready?: ReadyDigests,
  hashLimits = SMALL_LIMITS,
): Promise<ImageRecord> =>
  examineImage(location, {
    policy: profileOf('host-backup'),
    now: 0,
    forceShare: false,
    hash: true,
    hashLimits,
    ready,
  });

function written(bytes: Uint8Array): string {
  const path = join(temporaryDirectory(), 'large.qcow2');
  writeFileSync(path, bytes);
  return path;
}

const hashesOf = ({ disks }: ImageRecord) => disks.map(({ contentSha256 }) => contentSha256);

/** Carries out a plan as workers do. */
async function readyOf(location: string, { unhashed }: ImageRecord): Promise<ReadyDigests> {
  const { version, ranges } = unhashed!;
  const done: HashedRange[] = [];
  for (const range of ranges) {
    const result = await hashRange({ location, version, pieceBytes, ...range, options: OPENING });
    if (result.kind !== 'read') throw new Error(result.kind);
    done.push({ ...range, digests: result.digests });
  }
  // Whoever reads first stores first.
  return { version, ranges: done.reverse() };
}

test('a large disk is hashed by its pieces, and all else of the record is as it was', async () => {
  const bytes = await largeImage();
  const path = written(bytes);
  const first = await examined(path);
  expect(first.unhashed!.ranges.length).toBe(RANGES);
  expect(hashesOf(first)).toEqual([undefined, undefined]);
  const whole = await examined(path, await readyOf(path, first));
  expect(hashesOf(whole)).toEqual(wantedHashes(bytes));
  const plain = await examined(path, undefined, HASH_LIMITS);
  const unhashed = { unhashed: undefined, disks: [] };
  expect({ ...whole, ...unhashed }).toEqual({ ...plain, ...unhashed });
  expect({ ...first, ...unhashed }).toEqual({ ...plain, ...unhashed });
});

test('a disk that is not larger is hashed in one', async () => {
  const bytes = await largeImage();
  const path = written(bytes);
  const { diskSizeBytes: wholeBytes } = layoutOf(bytes);
  const record = await examined(path, undefined, { ...SMALL_LIMITS, wholeBytes });
  expect(hashesOf(record)[0]).toBe(
    createHash('sha256')
      .update(readGuest(bytes, layoutOf(bytes)))
      .digest('hex'),
  );
  expect(record.unhashed).toBeUndefined();
});

test('pieces of zeros are not read', async () => {
  const bytes = await largeImage();
  await using image = await openToHash(memoryDevice(bytes));
  await using disk = await image.disk();
  const read: number[] = [];
  const watched = {
    guest: disk.guest,
    sizeBytes: disk.sizeBytes,
    stream: (options: { at: number }) => {
      read.push(options.at / pieceBytes);
      return disk.stream(options);
    },
  } as unknown as QcowDisk;
  const range = { position: 0, firstPiece: 0, pieces: 16 };
  const digests = await digestsOfRange(watched, range, pieceBytes);
  expect(read).toEqual([0, 1, 3, 10, 15]);
  expect(compositeDigest(disk.sizeBytes, pieceBytes, [{ ...range, digests }])).toBe(
    wantedHashes(bytes)[0],
  );
});

test.each([1, 100, pieceBytes, pieceBytes + 1, 3 * pieceBytes, 5 * pieceBytes - 512])(
  'so many zeros need no reading: %i',
  (sizeBytes) => {
    expect(compositeDigest(sizeBytes, pieceBytes, [])).toBe(
      composite(new Uint8Array(sizeBytes), pieceBytes),
    );
  },
);

test('what the tables of an empty disk say is enough, however large it is', async () => {
  const path = written(buildImage({ clusterBits: 16, diskSizeBytes: 2 ** 42 }));
  const limits = { ...SMALL_LIMITS, wholeBytes: 2 ** 30, pieceBytes: 2 ** 20 };
  const zeros = createHash('sha256')
    .update(new Uint8Array(2 ** 20))
    .digest();
  const all = createHash('sha256');
  for (let i = 0; i < 2 ** 22; i++) all.update(zeros);
  const record = await examined(path, undefined, limits);
  expect(hashesOf(record)).toEqual([`${all.digest('hex')}-${2 ** 22}`]);
});

test('disks that claim exabytes have no more ranges than others', () => {
  expect(piecesPerJob([2 ** 40], HASH_LIMITS)).toBe(32);
  expect(piecesPerJob([2 ** 40, 2 ** 53 - 512], HASH_LIMITS)).toBe(
    Math.ceil((2 ** 23 + 1024) / 10_000),
  );
});

test.each(['luks', 'backing', 'data-file'])(
  '%s: such a disk has no hash, and nothing is read for it',
  async (name) => {
    const limits = { ...SMALL_LIMITS, wholeBytes: 0 };
    const record = await examined(imageOf(name), undefined, limits);
    expect(record.unhashed).toBeUndefined();
    expect(hashesOf(record)).toEqual(record.disks.map(() => undefined));
  },
);

test('a range of another version is not read, and digests of another version do not count', async () => {
  const bytes = await largeImage();
  const path = written(bytes);
  const first = await examined(path);
  const ready = await readyOf(path, first);
  const { version, ranges } = first.unhashed!;
  const reading = { location: path, version, pieceBytes, ...ranges[0]!, options: OPENING };
  // Other content, of the same length and with the same tables at the top.
  const disk = { bytes: bytes.slice() };
  guestWrite(disk, 0, 99);
  writeFileSync(path, disk.bytes);
  expect(await hashRange(reading)).toEqual({ kind: 'changed' });
  const again = await examined(path, ready);
  expect(again.unhashed!.version).not.toBe(version);
  expect(hashesOf(again)).toEqual([undefined, undefined]);
  expect(hashesOf(await examined(path, await readyOf(path, again)))).toEqual(
    wantedHashes(disk.bytes),
  );
});

test('a version is the same on every host: inodes and devices are not in it', async () => {
  const bytes = await largeImage();
  const [one, other] = [written(bytes), written(bytes)];
  for (const path of [one, other]) utimesSync(path, 1_790_000_000, 1_790_000_000);
  const versions = [await examined(one), await examined(other)].map(
    ({ unhashed }) => unhashed!.version,
  );
  expect(versions[0]).toBe(versions[1]);
});

test('what can not be read at all is the record of the image', async () => {
  const reading = {
    position: 0,
    firstPiece: 0,
    pieces: 3,
    version: 'none',
    pieceBytes,
    options: OPENING,
  };
  expect(await hashRange({ ...reading, location: '/nowhere/at/all' })).toMatchObject({
    kind: 'failed',
    record: { isGone: true, failure: { code: 'OPEN_FAILED' } },
  });
  expect(await hashRange({ ...reading, location: import.meta.filename })).toMatchObject({
    kind: 'failed',
    record: { isGone: false, failure: { code: 'NOT_QCOW2' } },
  });
});

test('docs/catalog.md tells how to make the hash of a raw disk', () => {
  const page = readFileSync(new URL('../../../docs/catalog.md', import.meta.url), 'utf8');
  const line = /^split -b 1G .*$/m.exec(page)![0];
  if (spawnSync('openssl', ['version']).status !== 0) {
    leaveOut('hashes by a shell: openssl is not installed');
    return;
  }
  const content = Uint8Array.from({ length: 5 * pieceBytes - 512 }, (_, i) => i % 251);
  const folder = temporaryDirectory();
  writeFileSync(join(folder, 'disk.raw'), content);
  const { stdout } = spawnSync('sh', ['-c', line.replace('1G', String(pieceBytes))], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(`${stdout.trim().split(' ').at(-1)!}-5`).toBe(composite(content, pieceBytes));
});
