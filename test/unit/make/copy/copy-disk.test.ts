import { describe, expect, test } from 'vitest';
import { copyDisk, type CopyOptions } from '../../../../src/make/copy/copy-disk.js';
import type { ExtentKind } from '../../../../src/read/guest/disk.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { newQcow2Writer } from '../../../../src/make/new/qcow2-writer.js';
import { PLAIN } from '../../../support/new-image.js';
import { randomFrom, seedOf, type Random } from '../../../support/model-random.js';
import { diskOf, packed, recordingWriter, type MadeUpDisk, type Stretch } from './disks.js';

const compress: CopyOptions['compress'] = {
  type: 'zlib',
  compressor: { compress: (_, clusters) => Promise.resolve(clusters.map(packed)) },
};

const KINDS: readonly ExtentKind[] = ['data', 'compressed', 'zero', 'unallocated', 'preallocated'];

function randomStretches(random: Random): Stretch[] {
  return Array.from({ length: 1 + random.below(40) }, (): Stretch => {
    const kind = random.pick(KINDS);
    const length = random.pick([512, 1024, 4096, 65536, 2 ** 20]) * (1 + random.below(3));
    const depth = kind === 'unallocated' ? 2 : random.below(3);
    if (kind !== 'data' && kind !== 'compressed') return { length, kind, depth };
    const fill = new Uint8Array(length);
    for (let at = 0; at < length; at += 512) {
      if (random.chance(0.5)) fill.fill(1 + random.below(255), at, at + 512);
    }
    return { length, kind, depth, fill: random.chance(0.3) ? random.below(3) : fill };
  });
}

/** What layers of depth `below` and deeper have; junk where they don't decide. */
async function contentBelow(disk: MadeUpDisk, below: number | undefined): Promise<Uint8Array> {
  const shown = new Uint8Array(disk.bytes.length);
  if (below === undefined) return shown;
  shown.set(disk.bytes);
  for await (const [extent] of disk.extents(0, shown.length)) {
    const { start, length, depth } = extent!;
    if (depth < below) shown.fill(0x99, start, start + length);
  }
  return shown;
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b);

const seed = seedOf();

describe(`copies of random disks (seed ${seed})`, () => {
  const random = randomFrom(seed);
  test.each(Array.from({ length: 30 }, (_, i) => i))('round %s', async () => {
    const disk = diskOf(randomStretches(random));
    const clusterBytes = random.pick([512, 4096, 65536]);
    const below = random.chance(0.4) ? 1 + random.below(2) : undefined;
    const told: Uint8Array[] = [];
    const options: CopyOptions = {
      zeroRunBytes: random.pick([0, 512, 4096, 65536]),
      everything: below === undefined && random.chance(0.2),
      below,
      compress: random.chance(0.4) ? compress : undefined,
      onContent: (contents) => {
        for (const one of contents) {
          told.push(one.kind === 'bytes' ? one.bytes.slice() : new Uint8Array(one.length));
        }
        return Promise.resolve();
      },
    };
    const writer = recordingWriter(clusterBytes, await contentBelow(disk, below));
    const listening = below === undefined ? options : { ...options, onContent: undefined };
    const report = await copyDisk(disk, writer, listening);
    expect(isSame(writer.bytes, disk.bytes)).toBe(true);
    for (const { at, length } of writer.writes) {
      expect(at % clusterBytes).toBe(0);
      const end = at + length;
      expect(end % clusterBytes === 0 || end === disk.bytes.length).toBe(true);
    }
    const { diskBytes, dataBytes, zeroBytes, keptBytes, compressedBytes } = report;
    expect(dataBytes + zeroBytes + keptBytes + compressedBytes).toBe(diskBytes);
    if (below === undefined) expect(isSame(Buffer.concat(told), disk.bytes)).toBe(true);
    if (options.everything === true) expect(zeroBytes).toBe(0);
  });
});

test('nothing is read that is known to be zero', async () => {
  const reads: { at: number; length: number }[] = [];
  const stretches: Stretch[] = [
    { length: 65536, kind: 'zero' },
    { length: 512, kind: 'data', fill: 1 },
  ];
  await copyDisk(diskOf(stretches, reads), recordingWriter(512, new Uint8Array(66048)));
  expect(reads).toEqual([{ at: 65536, length: 512 }]);
});

describe('a copy that fails', () => {
  const BYTES = 40 * 2 ** 20;
  const large = diskOf([{ length: BYTES, kind: 'data', fill: 1 }]);

  test.each([1, 2, 5])('at the write of batch %s', async (n) => {
    const writer = recordingWriter(512, new Uint8Array(BYTES), n);
    await expect(copyDisk(large, writer)).rejects.toThrow(`batch ${n}`);
  });

  test('is stopped when asked to', async () => {
    const controller = new AbortController();
    const writer = recordingWriter(512, new Uint8Array(BYTES));
    const onProgress = (): void => {
      controller.abort();
    };
    const copy = copyDisk(large, writer, { signal: controller.signal, onProgress });
    await expect(copy).rejects.toMatchObject({ code: 'ABORTED' });
    expect(writer.writes.length).toBeLessThan(4);
  });

  test('because of who is told of the content', async () => {
    const onContent = (): Promise<void> => Promise.reject(new Error('deaf'));
    const copy = copyDisk(large, recordingWriter(512, new Uint8Array(BYTES)), { onContent });
    await expect(copy).rejects.toThrow('deaf');
  });
});

test('a compressor of another type than the new image has is refused before anything is written', async () => {
  const disk = diskOf([{ length: 65536, kind: 'data', depth: 0, fill: 7 }]);
  const device = memoryDevice();
  const writer = await newQcow2Writer(device, { ...PLAIN, diskSizeBytes: 65536 });
  for (const type of ['zstd', 'deflate', '']) {
    const other = { ...compress, type: type as 'zstd' };
    await expect(copyDisk(disk, writer, { compress: other })).rejects.toMatchObject({
      code: 'NEW_IMAGE_INVALID',
      details: { structure: 'compression type', expected: 'zlib', actual: type },
    });
  }
  expect(await device.sizeBytes()).toBe(0);
  expect((await copyDisk(disk, writer, { compress })).compressedClusters).toBe(1);
});
