/**
 * A compact copy that a medium changed before it was compared. Whatever bit is another one, it is told, or no reader
 * sees anything of it.
 */
import { expect, test } from 'vitest';
import { isQsnapError, type QsnapError } from '../../../../src/errors.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { compactImage } from '../../../../src/make/compact/compact-image.js';
import type { CompactOptions } from '../../../../src/make/compact/compact-options.js';
import { changingDevice } from '../../../support/changing-device.js';
import {
  compacted,
  contentsOf,
  randomImage,
  randomOptions,
} from '../../../support/compact-images.js';
import { PLATFORM } from '../../../support/compacted.js';
import { loadFixture } from '../../../support/fixture.js';
import {
  buildImage,
  checkImage,
  guestWrite,
  guestWriteCompressed,
  guestZero,
  layoutOf,
  type PlainDisk,
} from '../../../support/image-builder.js';
import { l2EntriesOf } from '../../../support/image-builder-check.js';
import {
  COMPRESSED_BIT,
  OFFSET_MASK,
  offsetAt,
  u64,
} from '../../../support/image-builder-layout.js';
import { randomFrom, roundsOf, seedOf } from '../../../support/model-random.js';
import { withSnapshot } from '../../../support/rescued.js';
import { IS_PLAIN } from '../../../support/left-out.js';

const passphrase = new TextEncoder().encode('open sesame');
const CLUSTER = 4096;

/**
 * Makes the image compact on a medium that changes it; the error, or the image.
 *
 * @param change has no first cluster yet.
 */
async function changed(
  bytes: Uint8Array,
  options: Partial<CompactOptions>,
  change: (made: Uint8Array) => void,
): Promise<QsnapError | Uint8Array> {
  const { device, inner } = changingDevice(change);
  const image = await openImage(memoryDevice(bytes, 'old'));
  try {
    await compactImage(image, device, { ...PLATFORM, passphrase, ...options });
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    expect(
      inner
        .snapshotBytes()
        .subarray(0, 512)
        .every((byte) => byte === 0),
    ).toBe(true);
    return error;
  }
  return inner.snapshotBytes();
}

/** Data in the active disk and in one snapshot, with zeros and compressed clusters. */
async function plainImage(): Promise<Uint8Array> {
  const disk: PlainDisk = { bytes: buildImage() };
  for (let cell = 0; cell < 8; cell++) guestWrite(disk, cell, cell + 1);
  guestZero(disk, 10, false);
  guestWriteCompressed(disk, 12, new Uint8Array([50, 51]));
  disk.bytes = await withSnapshot(disk.bytes, 'before');
  guestWrite(disk, 3, 77);
  return disk.bytes;
}

/** Offset of the active L2 table's entry for a guest cluster. */
function entryOf(bytes: Uint8Array, cluster: number): number {
  return offsetAt(bytes, layoutOf(bytes).l1At) + 8 * cluster;
}

/** Host offsets of all data of the active disk, packed or not. */
function dataOf(bytes: Uint8Array): number[] {
  const layout = layoutOf(bytes);
  const packed = (1n << BigInt(62 - (Math.log2(layout.clusterBytes) - 8))) - 1n;
  return Array.from({ length: layout.l1Entries }, (_, i) => offsetAt(bytes, layout.l1At + 8 * i))
    .filter((tableAt) => tableAt !== 0)
    .flatMap((tableAt) => [...l2EntriesOf(bytes, layout, tableAt)])
    .map(({ entry }) => Number(entry & ((entry & COMPRESSED_BIT) === 0n ? OFFSET_MASK : packed)))
    .filter((at) => at !== 0);
}

const WAYS: Readonly<Record<string, Partial<CompactOptions>>> = {
  'as it is': {},
  'without zeros': { dropZeros: true },
  compressed: { compress: 'zlib' },
  'compressed in another way': { compress: 'zstd' },
  'in smaller clusters': { clusterBytes: 1024 },
  'in larger clusters': { clusterBytes: 16_384 },
};

test.each(Object.entries(WAYS))('a bit of data is told in a copy %s', async (_, way) => {
  const bytes = await plainImage();
  const { made } = await compacted(bytes, way);
  const places = dataOf(made);
  expect(places.length).toBeGreaterThan(2);
  for (const at of places) {
    const error = await changed(bytes, way, (now) => {
      now[at + 3]! ^= 4;
    });
    expect(error, `at ${at}`).toMatchObject({ code: 'VERIFY_FAILED' });
  }
});

test('a changed bit names the snapshot, the guest byte and the host offsets', async () => {
  const bytes = await plainImage();
  // The cluster that only the snapshot has: cell 3, which was 4 before.
  const error = await changed(bytes, {}, (made) => {
    made[made.findIndex((byte, i) => byte === 4 && made[i + CLUSTER - 1] === 4) + 9]! ^= 0x80;
  });
  expect(error).toMatchObject({
    code: 'VERIFY_FAILED',
    message:
      'the disk of snapshot 1 of the new image is not what it was, from guest byte 0x3009 on',
    details: { structure: 'data cluster', snapshotId: '1', guestAt: 0x3009, file: 'memory' },
  });
  const { details } = error as QsnapError;
  expect(details.at! % CLUSTER).toBe(9);
  expect(details.expected).toMatch(/^the bytes at 0x[0-9a-f]+009 of old$/);
});

test('two clusters that changed their places are told', async () => {
  const bytes = await plainImage();
  const { made: whole } = await compacted(bytes);
  const [one, other] = [entryOf(whole, 1), entryOf(whole, 2)];
  const error = await changed(bytes, {}, (made) => {
    const entry = made.slice(one, one + 8);
    made.copyWithin(one, other, other + 8);
    made.set(entry, other);
  });
  expect(error).toMatchObject({ code: 'VERIFY_FAILED', details: { guestAt: 0x1000 } });
  expect((error as QsnapError).details.snapshotId).toBeUndefined();
});

test('a zero flag that is gone is told over a backing file alone', async () => {
  for (const [name, isTold] of [
    ['zeros', false],
    ['backing', true],
  ] as const) {
    const bytes = loadFixture(name);
    const { made } = await compacted(bytes);
    const flags = zeroFlagsOf(made);
    expect(flags.length, name).toBeGreaterThan(0);
    for (const at of flags) {
      const error = await changed(bytes, {}, (now) => {
        now[at]! &= 0xfe;
      });
      if (!isTold) expect(error).toBeInstanceOf(Uint8Array);
      else
        expect(error).toMatchObject({ code: 'VERIFY_FAILED', details: { structure: 'L2 table' } });
    }
  }
});

/** Offsets of the last bytes of entries that are a zero flag and nothing else, in the first L2 table of the active disk. */
function zeroFlagsOf(made: Uint8Array): number[] {
  const { clusterBytes } = layoutOf(made);
  const table = entryOf(made, 0);
  return Array.from({ length: clusterBytes / 8 }, (_, i) => table + 8 * i + 7).filter(
    (at) => u64(made, at - 7) === 1n,
  );
}

test.each(['vm-state', 'vm-state-v2', 'vm-state-extended-l2'])(
  'VM state of %s that is shifted by a cluster is told',
  async (name) => {
    const bytes = loadFixture(name);
    const { snapshots, geometry } = await openImage(memoryDevice((await compacted(bytes)).made));
    const { l1, diskSizeBytes } = snapshots.find(({ vmStateBytes }) => vmStateBytes > 0)!;
    const first = Math.ceil(diskSizeBytes / geometry.l2CoverageBytes);
    const error = await changed(bytes, {}, (made) => {
      const table = offsetAt(made, l1.at + 8 * first);
      made.copyWithin(table + geometry.l2EntryBytes, table, table + 8 * geometry.l2EntryBytes);
    });
    expect(error).toMatchObject({ code: 'VERIFY_FAILED' });
  },
);

test('snapshots that changed their names are told', async () => {
  const bytes = await withSnapshot(await plainImage(), 'second');
  const error = await changed(bytes, {}, (made) => {
    const at = Buffer.from(made).indexOf('second');
    made[at]! ^= 1;
  });
  expect(error).toMatchObject({ code: 'VERIFY_FAILED', details: { structure: 'snapshot table' } });
});

/** A refcount behind the end of the file means nothing, to QEMU and to a check. */
function expectSameOrBehind(now: Uint8Array, bytes: Uint8Array): void {
  const { corruptions, leaks } = checkImage(now);
  expect({ corruptions, leaks: leaks.filter((leak) => !leak.endsWith('past the end')) }).toEqual({
    ...{ corruptions: [], leaks: [] },
  });
  const before = contentsOf(bytes);
  const isSame = contentsOf(now).map((disk, i) => Buffer.compare(disk, before[i]!) === 0);
  expect(isSame).toEqual(before.map(() => true));
}

const seed = seedOf();
const rounds = roundsOf(4);
const FLIPS = IS_PLAIN ? 16 : 40;

test(
  `any bit that changes is told, or changes nothing (QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds})`,
  { timeout: 600_000 },
  async () => {
    let told = 0;
    for (let round = 0; round < rounds; round++) {
      const random = randomFrom(seed + round);
      const bytes = await randomImage(random);
      const options = randomOptions(random, layoutOf(bytes).version === 2);
      const { made } = await compacted(bytes, options);
      for (let i = 0; i < FLIPS; i++) {
        const at =
          layoutOf(made).clusterBytes + random.below(made.length - layoutOf(made).clusterBytes);
        const bit = random.below(8);
        const now = await changed(bytes, options, (there) => {
          there[at]! ^= 1 << bit;
        });
        const what = `seed ${seed + round}: ${JSON.stringify(options)}, bit ${bit} of byte ${at}`;
        try {
          if (now instanceof Uint8Array) expectSameOrBehind(now, bytes);
          else expect(now.code).toBe('VERIFY_FAILED');
        } catch (error) {
          console.log(what);
          throw error;
        }
        told += now instanceof Uint8Array ? 0 : 1;
      }
    }
    expect(told).toBeGreaterThan(rounds * 2);
  },
);
