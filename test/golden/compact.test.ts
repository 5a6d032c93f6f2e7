/** Every fixture that can be made compact: each disk and VM state is what QEMU read, and a compact image stays as it is. */
import { describe, expect, test } from 'vitest';
import { roundUp } from '../../src/base/units.js';
import { isQsnapError, type ErrorCode } from '../../src/errors.js';
import type { OpenImage } from '../../src/image/image.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { compactImage } from '../../src/make/compact/compact-image.js';
import type { CompactOptions, CompactReport } from '../../src/make/compact/compact-options.js';
import { l1EntriesFor } from '../../src/qcow2/geometry.js';
import type { Snapshot } from '../../src/qcow2/snapshot-table.js';
import { checkImage } from '../../src/read/check/check-image.js';
import { openGuestDisk } from '../../src/read/guest/open-guest-disk.js';
import { openVmState } from '../../src/read/vmstate/vm-state.js';
import { newSha256 } from '../../src/node/index.js';
import { PLATFORM } from '../support/compacted.js';
import { expectedContents, fixtureNames, loadFixture } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';

/** What can't be made compact, and why. */
const REFUSED: Readonly<Record<string, ErrorCode>> = {
  'data-file': 'EXTERNAL_DATA_FILE',
  'data-file-raw': 'EXTERNAL_DATA_FILE',
  'feature-incompatible-named': 'UNSUPPORTED_FEATURE',
  'feature-incompatible-unknown': 'UNSUPPORTED_FEATURE',
  'l2-past-end': 'IMAGE_DAMAGED',
  'l2-unaligned': 'IMAGE_DAMAGED',
  'qcow-version-1': 'QCOW_VERSION_1',
};
/** Disks whose whole content is hashed. */
const HASHED_BYTES_MAX = 16 * 2 ** 20;

const passphrase = new TextEncoder().encode('open sesame');

async function compacted(
  bytes: Uint8Array,
  options: Partial<CompactOptions> = {},
): Promise<{ made: Uint8Array; report: CompactReport }> {
  const device = memoryDevice(new Uint8Array(0));
  const image = await openImage(memoryDevice(bytes));
  const report = await compactImage(image, device, { ...PLATFORM, passphrase, ...options });
  const made = new Uint8Array(await device.sizeBytes());
  await device.readBatch([{ at: 0, into: made }]);
  return { made, report };
}

test.each(Object.entries(REFUSED))('%s is refused by %s', async (name, code) => {
  const error: unknown = await compacted(loadFixture(name)).catch((thrown: unknown) => thrown);
  expect(isQsnapError(error) && error.code).toBe(code);
});

const COMPACT = fixtureNames().filter((name) => !(name in REFUSED));

describe.each(oneIn(3, COMPACT))('%s', (name) => {
  test('has its disks and snapshots in a sound image that stays as it is', async () => {
    const bytes = loadFixture(name);
    const { made, report } = await compacted(bytes);
    expect((await checkImage(memoryDevice(made))).exitCode).toBe(0);
    const [old, now] = [await openImage(memoryDevice(bytes)), await openImage(memoryDevice(made))];
    expect(report.disks).toHaveLength(old.snapshots.length + 1);
    expect(now.snapshots.map(factsOf)).toEqual(old.snapshots.map(factsOf));
    for (const [i, { extraData }] of old.snapshots.entries()) {
      // Version 3 demands two sizes in it, which shorter data gets.
      if (now.header.version === 3 && extraData.length < 16) continue;
      expect(now.snapshots[i]!.extraData).toEqual(extraData);
    }
    expect(now.header.diskSizeBytes).toBe(old.header.diskSizeBytes);
    expect(now.backingNameBytes).toEqual(old.backingNameBytes);
    expect(made.length).toBeLessThanOrEqual(roundUp(bytes.length, old.geometry.clusterBytes));
    await expectContents(name, now);
    const again = await compacted(made);
    expect(Buffer.compare(again.made, made)).toBe(0);
  });
});

const VM_STATES = ['vm-state', 'vm-state-v2', 'vm-state-extended-l2', 'vm-state-qemu-11'];

test.each(VM_STATES)('%s has its VM states in clusters of another size', async (name) => {
  for (const clusterBytes of [512, 4096, 2 ** 20]) {
    const options = { clusterBytes, extendedL2: clusterBytes > 4096, version: 3 } as const;
    const { made } = await compacted(loadFixture(name), options);
    expect((await checkImage(memoryDevice(made))).exitCode).toBe(0);
    const now = await openImage(memoryDevice(made));
    expect(now.geometry.clusterBytes).toBe(clusterBytes);
    await expectContents(name, now);
  }
});

test('a mapped-ram state is kept whole, with what lies behind the size that its table tells', async () => {
  const bytes = loadFixture('vm-state-qemu-11');
  const whole = await mappedStreamOf(bytes);
  expect(whole.length).toBeGreaterThan(5 * 2 ** 20);
  for (const clusterBytes of [512, 2 ** 16, 2 ** 20]) {
    const { made } = await compacted(bytes, { clusterBytes });
    expect(Buffer.compare(await mappedStreamOf(made), whole), String(clusterBytes)).toBe(0);
  }
});

/** The stream of the second snapshot, to its parsed end. */
async function mappedStreamOf(bytes: Uint8Array): Promise<Uint8Array> {
  const image = await openImage(memoryDevice(bytes));
  const state = await openVmState(image, image.snapshots[1]!);
  expect(state.survey.problems).toEqual([]);
  const into = new Uint8Array(state.survey.streamBytes!);
  await state.source.readBatch([{ at: 0, into }]);
  await state.close();
  return into;
}

/** All but where it lies, and what is compared apart. */
function factsOf({ at: _, l1: __, extraData: ___, ...facts }: Snapshot): unknown {
  return facts;
}

/** The disks and VM states as QEMU read them when the fixture was made. */
async function expectContents(name: string, image: OpenImage): Promise<void> {
  const { active, snapshots } = expectedContents(name);
  if (image.backingNameBytes !== undefined) return;
  expect(await hashOf(image, undefined, 0, active.sizeBytes), 'active').toBe(active.sha256);
  for (const [i, { diskSizeBytes, sha256, vmState }] of snapshots.entries()) {
    const snapshot = image.snapshots[i]!;
    const size = diskSizeBytes === null || sha256 === null ? null : diskSizeBytes;
    expect(await hashOf(image, snapshot, 0, size), snapshot.name).toBe(
      size !== null && size <= HASHED_BYTES_MAX ? sha256 : null,
    );
    const { l2CoverageBytes } = image.geometry;
    const at = l1EntriesFor(snapshot.diskSizeBytes, image.geometry) * l2CoverageBytes;
    const stateHash = await hashOf(image, snapshot, at, vmState?.sizeBytes ?? null);
    expect(stateHash, `VM state of ${snapshot.name}`).toBe(vmState?.sha256 ?? null);
  }
}

/** SHA-256 of a part of a disk, or of what lies behind it; null where that is unknown or much. */
async function hashOf(
  image: OpenImage,
  snapshot: Snapshot | undefined,
  at: number,
  length: number | null,
): Promise<string | null> {
  if (length === null || length > HASHED_BYTES_MAX) return null;
  const longer = snapshot && { ...snapshot, diskSizeBytes: at + length };
  const snapshots = image.snapshots.map((one) => (one === snapshot ? longer! : one));
  const options = { ...PLATFORM, passphrase, snapshot: longer };
  const disk = await openGuestDisk({ ...image, snapshots }, options);
  const into = new Uint8Array(length);
  await disk.readBatch([{ at, into }]);
  await disk.close();
  const hasher = newSha256();
  hasher.update(into);
  return hasher.digest();
}
