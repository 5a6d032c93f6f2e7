import { expect, test } from 'vitest';
import { memoryDevice, openQcow } from '../../../src/index.js';
import { recipe } from '../../support/fixture.js';
import { closedSound, expectSame, opened, type Opened } from './images.js';

/** All bytes of a disk. */
async function contentOf({ image }: Opened, snapshot?: string, key?: string): Promise<Uint8Array> {
  const disk = await image.disk(snapshot, key === undefined ? {} : { passphrase: key });
  return disk.read(0, disk.sizeBytes);
}

test('all pieces are written, in any order, and no snapshot changes', async () => {
  const on = await opened('five-snapshots');
  const kept = await contentOf(on, 'id:1');
  const expected = await contentOf(on);
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => 1 + (i % 250));
  const done = await on.image.write([
    { at: 300_000, zeroBytes: 1000 },
    { at: 5000, bytes },
    { at: 0, bytes: bytes.subarray(0, 3) },
  ]);
  expected.set(bytes, 5000);
  expected.set(bytes.subarray(0, 3));
  expected.fill(0, 300_000, 301_000);
  expect(done).toMatchObject({ operation: 'write', summary: 'write 71003 bytes into the disk' });
  expectSame(await contentOf(on), expected);
  expectSame(await contentOf(on, 'id:1'), kept);
  await closedSound(on);
});

test('an encrypted disk takes its passphrase, and nothing is written without it', async () => {
  const on = await opened('luks');
  const passphrase = recipe('luks').secret!;
  const piece = { at: 1000, bytes: new Uint8Array(600).fill(7) };
  await expect(on.image.write([piece])).rejects.toMatchObject({ code: 'ENCRYPTED' });
  await expect(on.image.write([piece], { passphrase: 'no' })).rejects.toMatchObject({
    code: 'PASSPHRASE_WRONG',
  });
  const expected = await contentOf(on, undefined, passphrase);
  await on.image.write([piece], { passphrase });
  expected.fill(7, 1000, 1600);
  expectSame(await contentOf(on, undefined, passphrase), expected);
  await closedSound(on);
});

test.each([
  [
    'over each other',
    [
      { at: 0, zeroBytes: 20 },
      { at: 10, zeroBytes: 20 },
    ],
  ],
  ['past the end', [{ at: 2 ** 40, zeroBytes: 1 }]],
  ['of no bytes', [{ at: 0, zeroBytes: 0 }]],
])('pieces %s are refused, and nothing is written', async (_, pieces) => {
  const on = await opened('five-snapshots');
  const before = on.device.snapshotBytes();
  await expect(on.image.write(pieces)).rejects.toMatchObject({ code: 'RANGE_INVALID' });
  expectSame(on.device.snapshotBytes(), before);
  await closedSound(on);
});

test('an overlay needs what is below it for a part of a cluster alone', async () => {
  const on = await opened('backing');
  const bytes = new Uint8Array(65_536).fill(9);
  await on.image.write([{ at: 0, bytes }]);
  const device = memoryDevice(on.device.snapshotBytes());
  const alone = await openQcow(device);
  const empty = { at: 65_536 * 8 + 100, bytes: bytes.subarray(0, 10) };
  await expect(alone.write([empty])).rejects.toMatchObject({ code: 'BACKING_REFUSED' });
  await closedSound({ image: alone, device });
  await closedSound(on);
});
