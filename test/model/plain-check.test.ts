/** The plain checker and reader, held to what QEMU says of the fixtures. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { executePlan, memoryDevice, openImage, planCreate } from '../../src/index.js';
import {
  expectedContents,
  expectedExits,
  expectedJson,
  fixtureNames,
  loadFixture,
} from '../support/fixture.js';
import {
  buildImage,
  checkImage,
  guestWrite,
  layoutOf,
  readGuest,
  snapshotsOf,
  type PlainDisk,
} from '../support/image-builder.js';

interface QemuCheck {
  readonly corruptions?: number;
  readonly leaks?: number;
}

/** QEMU can't open these: a format or feature that it refuses, or a backing file that is missing. */
const notOpened = new Set([
  'backing-json-name',
  'backing-missing',
  'feature-incompatible-named',
  'feature-incompatible-unknown',
  'qcow-version-1',
]);
/** Their guest content needs another file, a key or zstd, or can't be read at all. */
const otherContent = /^(aes|luks|backing|data-file|everything|l2-|wide-and-large|.*zstd)/;

const opened = fixtureNames().filter((name) => !notOpened.has(name));

describe('the plain checker agrees with qemu-img check', () => {
  test.each(opened)('%s', (name) => {
    const qemu = expectedJson(name, 'check.json') as QemuCheck;
    const { corruptions, leaks } = checkImage(loadFixture(name));
    expect(corruptions.length > 0, corruptions.join('\n')).toBe((qemu.corruptions ?? 0) > 0);
    // What a corrupt entry meant to refer to is a matter of taste.
    const inFile = leaks.filter((line) => !line.endsWith('past the end'));
    if (corruptions.length === 0) expect(inFile).toHaveLength(qemu.leaks ?? 0);
    const code = corruptions.length > 0 ? 2 : leaks.length > 0 ? 3 : 0;
    expect(expectedExits(name)['check.json']!.code).toBe(code);
  });
});

describe('the plain reader reads what QEMU reads', () => {
  test.each(opened.filter((name) => !otherContent.test(name)))('%s', (name) => {
    const bytes = loadFixture(name);
    const expected = expectedContents(name);
    expect(hash(readGuest(bytes, layoutOf(bytes)))).toBe(expected.active.sha256);
    const snapshots = snapshotsOf(bytes).snapshots.map((snapshot) => ({
      id: snapshot.id,
      sha256: hash(readGuest(bytes, snapshot)),
    }));
    expect(snapshots).toEqual(expected.snapshots.map(({ id, sha256 }) => ({ id, sha256 })));
  });
});

describe('the plain guest', () => {
  const disk: PlainDisk = { bytes: new Uint8Array(0) };
  const before = async (): Promise<Uint8Array> => {
    const options = { version: 3, clusterBits: 9, refcountOrder: 4, extendedL2: false } as const;
    disk.bytes = buildImage({ ...options, diskSizeBytes: 8 * 512 });
    guestWrite(disk, 2, 0x11);
    const device = memoryDevice(disk.bytes);
    const date = { seconds: 0, nanoseconds: 0 };
    const plan = await planCreate(await openImage(device), { name: 'kept', date });
    await executePlan(plan);
    disk.bytes = device.snapshotBytes();
    return snapshotContent();
  };
  const snapshotContent = (): Uint8Array => {
    return readGuest(disk.bytes, snapshotsOf(disk.bytes).snapshots[0]!).slice();
  };

  test('leaves a snapshot alone where the flags are right', async () => {
    const kept = await before();
    guestWrite(disk, 2, 0x22);
    expect(snapshotContent()).toEqual(kept);
    expect(checkImage(disk.bytes)).toEqual({ corruptions: [], leaks: [] });
  });

  test('harms it where a COPIED flag lies, and the checker sees the flag', async () => {
    const kept = await before();
    const { l1At } = layoutOf(disk.bytes);
    disk.bytes[l1At] = disk.bytes[l1At]! | 0x80;
    expect(checkImage(disk.bytes).corruptions).toHaveLength(1);
    const l2At = new DataView(disk.bytes.buffer).getUint32(l1At + 4);
    disk.bytes[l2At + 2 * 8] = disk.bytes[l2At + 2 * 8]! | 0x80;
    guestWrite(disk, 2, 0x22);
    expect(snapshotContent()).not.toEqual(kept);
  });
});

function hash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
