/**
 * Guest data of images that QEMU makes over all options: whole disks, random ranges and maps are
 * what qemu-img says. QSNAP_SEED repeats a run, QSNAP_ROUNDS makes it longer.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openImage, type GuestDisk } from '../../src/index.js';
import { openFile } from '../../src/node/index.js';
import { coveringOptions, diskBytesOf, nameOfOptions } from '../support/model-options.js';
import { randomFrom, roundsOf, seedOf, type Random } from '../support/model-random.js';
import {
  guest,
  guestCommands,
  makeTwins,
  onImage,
  openDisk,
  PASSPHRASE,
  type Twins,
} from '../support/model-twin.js';
import { temporaryDirectory } from '../support/directories.js';
import { describeWithQemu } from '../support/qemu.js';
import { readBoth } from './parity.js';

const seed = seedOf();
const rounds = roundsOf(4);
const random = randomFrom(seed);

async function opened<T>(
  file: string,
  snapshotId: string | undefined,
  use: (disk: GuestDisk) => Promise<T>,
): Promise<T> {
  const source = await openFile(file);
  try {
    const image = await openImage(source);
    const disk = await openDisk(
      image,
      image.snapshots.find(({ id }) => id === snapshotId),
    );
    try {
      return await use(disk);
    } finally {
      await disk.close();
    }
  } finally {
    await source.close();
  }
}

/** The whole disk, then many ranges at once, against QEMU's raw copy. */
async function expectSameReads(disk: GuestDisk, raw: Uint8Array, own: Random): Promise<void> {
  const size = await disk.sizeBytes();
  expect(size).toBe(raw.length);
  const whole = new Uint8Array(size).fill(0xee);
  await disk.readBatch([{ at: 0, into: whole }]);
  expect(Buffer.compare(whole, raw)).toBe(0);
  const requests = Array.from({ length: 60 }, () => {
    const at = own.below(size + 100);
    return { at, into: new Uint8Array(own.below(own.pick([2, 600, 70_000]))).fill(0xee) };
  });
  await disk.readBatch(requests);
  for (const { at, into } of requests) {
    const expected = new Uint8Array(into.length);
    expected.set(raw.subarray(at, at + into.length));
    expect(Buffer.compare(into, expected), `${into.length} bytes at ${at}`).toBe(0);
  }
}

/** What the extents say holds for the bytes, and they cover the disk without gaps. */
async function expectTrueExtents(disk: GuestDisk, raw: Uint8Array): Promise<void> {
  let at = 0;
  for await (const extents of disk.extents(0, raw.length)) {
    for (const { start, length, kind } of extents) {
      expect(start).toBe(at);
      at = start + length;
      if (kind === 'data' || kind === 'compressed') continue;
      expect(
        raw.subarray(start, at).every((byte) => byte === 0),
        kind,
      ).toBe(true);
    }
  }
  expect(at).toBe(raw.length);
}

describeWithQemu('guest data of generated images', () => {
  console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${rounds}`);
  for (const [i, options] of coveringOptions(random, rounds).entries()) {
    test(`${i}: ${nameOfOptions(options)}`, async () => {
      const own = randomFrom(seed + i);
      const twins = await makeTwins(temporaryDirectory(), options, own);
      const write = () => guest(twins, guestCommands(own, options, diskBytesOf(options)));
      await write();
      const before = await contentOf(twins);
      const { code } = await onImage(twins, twins.ours, ['snapshot', '-c', 'before']);
      for (let step = 0; step < 3; step++) await write();
      const now = await contentOf(twins);
      await opened(twins.ours, undefined, async (disk) => {
        await expectSameReads(disk, now, own);
        await expectTrueExtents(disk, now);
      });
      if (code === 0) {
        await opened(twins.ours, '1', (disk) => expectSameReads(disk, before, own));
      }
      await expectSameMap(twins);
    });
  }
});

async function contentOf(twins: Twins): Promise<Uint8Array> {
  const raw = path.join(twins.directory, 'content.raw');
  const { code, stderr } = await onImage(twins, twins.ours, ['convert', '-O', 'raw'], [raw]);
  expect(code, stderr).toBe(0);
  return new Uint8Array(readFileSync(raw));
}

async function expectSameMap({ directory, options, ours }: Twins): Promise<void> {
  const key = options.encryption === 'none' ? '' : ',encrypt.key-secret=sec0';
  const argv = ['map', '--object', `secret,id=sec0,data=${PASSPHRASE}`, '--image-opts'];
  const operand = `driver=qcow2,file.filename=${ours}${key}`;
  for (const more of [['--output=json'], [], ['--output=json', '-s', '3333', '-l', '1000001']]) {
    const pair = await readBoth([...argv, ...more, operand], directory);
    expect(pair.ours, more.join(' ')).toEqual(pair.qemu);
  }
}
