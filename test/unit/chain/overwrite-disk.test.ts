import { expect, test } from 'vitest';
import { overwriteDisk } from '../../../src/chain/overwrite-disk.js';
import { openImage } from '../../../src/image/open.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { openGuestDisk } from '../../../src/read/guest/open-guest-disk.js';
import { rawDisk } from '../../../src/read/guest/raw-disk.js';
import { loadFixture } from '../../support/fixture.js';
import { checkImage } from '../../support/image-builder.js';

const KiB = 1024;

async function disksOf(bytes: Uint8Array): Promise<readonly Buffer[]> {
  const image = await openImage(memoryDevice(bytes));
  const disks: Buffer[] = [];
  for (const snapshot of [undefined, ...image.snapshots]) {
    const disk = await openGuestDisk(image, { snapshot });
    const into = Buffer.alloc(await disk.sizeBytes());
    await disk.readBatch([{ at: 0, into }]);
    disks.push(into);
  }
  return disks;
}

/** Data, zeros between, and an end inside a cluster. */
const content = Buffer.alloc(1000 * KiB + 512, 9).fill(0, 100 * KiB, 400 * KiB);

test.each([
  ['by one switch', {}, 1],
  ['in portions', { clustersAtOnce: 4 }, 4],
  ['zeros as data, too', { everything: true }, 1],
] as const)('a disk is written over another one, %s', async (_, options, switches) => {
  const before = loadFixture('five-snapshots');
  const device = memoryDevice(before);
  const source = await rawDisk(memoryDevice(content));
  const report = await overwriteDisk(device, source, { disk: {}, ...options });
  expect(report.switches).toBe(switches);
  expect(report.dataBytes + report.zeroBytes).toBe(content.length);
  const [active, ...snapshots] = await disksOf(device.snapshotBytes());
  const [old, ...kept] = await disksOf(before);
  expect(active!.subarray(0, content.length).equals(content)).toBe(true);
  // What lies behind its end stays.
  expect(active!.subarray(content.length).equals(old!.subarray(content.length))).toBe(true);
  expect(snapshots.every((disk, i) => disk.equals(kept[i]!))).toBe(true);
  expect(checkImage(device.snapshotBytes())).toEqual({ corruptions: [], leaks: [] });
});
