/**
 * A power cut during a commit or a rebase. At every moment the overlay reads as before, and no snapshot of the file that is
 * written changes: also between the switches of a commit in portions, which can then be made again.
 */
import { createHash } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { commitDisk } from '../../src/chain/commit-disk.js';
import { rebaseDisk } from '../../src/chain/rebase-disk.js';
import { setBacking } from '../../src/edit/header/set-backing.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import type { DiskChange } from '../../src/edit/write/disk-change.js';
import { planWrite } from '../../src/edit/write/plan-write.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { zeroSource } from '../../src/io/zero-source.js';
import type { BlockSource } from '../../src/io/device.js';
import { createImage } from '../../src/make/new/create-image.js';
import { nodeDecompressor } from '../../src/node/index.js';
import { openGuestDisk } from '../../src/read/guest/open-guest-disk.js';
import type { Gate } from '../../src/read/guest/gate.js';
import { checkPlain } from '../support/crash-judge.js';
import { loadFixture } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { seededRandom } from '../support/mutate.js';
import { PLAIN } from '../support/new-image.js';
import { crashStates, recordingDevice } from '../support/recording-device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4716);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 4);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 8);
const BASES = ['five-snapshots', 'cluster-512', 'version-2', 'extended-l2-16k', 'compressed-v2'];
const total = { states: 0, again: 0 };
const decompressor = nodeDecompressor();

/** Opens these bytes as the backing file of whatever names one. */
const gateTo = (bytes: Uint8Array): Gate => ({
  openBacking: () =>
    Promise.resolve({ source: memoryDevice(bytes), format: 'qcow2' as const, identity: 'base' }),
  openDataFile: () => Promise.reject(new Error('no data file')),
});

/** Digests of the active disk and all snapshots. */
async function disksOf(bytes: Uint8Array, gate?: Gate): Promise<readonly string[]> {
  const image = await openImage(memoryDevice(bytes));
  const digests: string[] = [];
  for (const snapshot of [undefined, ...image.snapshots]) {
    const disk = await openGuestDisk(image, { snapshot, decompressor, gate });
    const into = new Uint8Array(await disk.sizeBytes());
    await disk.readBatch([{ at: 0, into }]);
    digests.push(createHash('sha256').update(into).digest('hex'));
  }
  return digests;
}

/** An overlay with changes of all kinds. */
async function overlayOn(base: Uint8Array, random: (end: number) => number): Promise<Uint8Array> {
  const { diskSizeBytes } = (await openImage(memoryDevice(base))).header;
  const device = memoryDevice();
  await createImage(device, { ...PLAIN, clusterBytes: 4096, diskSizeBytes });
  await setBacking(device, { name: 'base', format: 'qcow2' });
  const changes: DiskChange[] = [];
  const sectors = diskSizeBytes / 512;
  for (let at = random(20); at < sectors; at += random(Math.ceil(sectors / 6))) {
    const length = Math.min(sectors - at, 1 + random(60));
    changes.push({ at: at * 512, length: length * 512, kind: random(3) === 0 ? 'zero' : 'data' });
    at += length;
  }
  const content = memoryDevice(Uint8Array.from({ length: diskSizeBytes }, () => 1 + random(255)));
  const disk = await openGuestDisk(await openImage(memoryDevice(device.snapshotBytes())), {
    gate: gateTo(base),
    decompressor,
  });
  await executePlan(await planWrite(await openImage(device), { changes, content, disk }));
  return device.snapshotBytes();
}

const standIn = (sizeBytes: number): Gate => ({
  ...gateTo(new Uint8Array(0)),
  openBacking: () =>
    Promise.resolve({
      source: zeroSource('base', sizeBytes) satisfies BlockSource,
      format: 'raw' as const,
      identity: 'base',
    }),
});

async function commit(device: ReturnType<typeof memoryDevice>, overlay: Uint8Array): Promise<void> {
  const { diskSizeBytes } = (await openImage(device)).header;
  const top = await openImage(memoryDevice(overlay));
  const disk = await openGuestDisk(top, { gate: standIn(diskSizeBytes), decompressor });
  const target = { device, format: 'qcow2' as const };
  await commitDisk(disk, target, { disk: { decompressor }, clustersAtOnce: 8 });
}

describe.each(BASES)('%s', (name) => {
  const base = loadFixture(name);
  const random = seededRandom(SEED + BASES.indexOf(name));

  test('a commit', async () => {
    const overlay = await overlayOn(base, random);
    const shown = await disksOf(overlay, gateTo(base));
    const [, ...snapshots] = await disksOf(base);
    const device = recordingDevice(base);
    await commit(device, overlay);
    const { leaks } = checkPlain(base);
    const states = [
      ...crashStates(device.log, base, { seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES }),
    ];
    for (const { bytes, description } of oneIn(Math.ceil(states.length / 60), states)) {
      total.states += 1;
      const told = `seed ${SEED}, ${name}: ${description}`;
      expect(await disksOf(overlay, gateTo(bytes)), told).toEqual(shown);
      expect((await disksOf(bytes)).slice(1), told).toEqual(snapshots);
      const checked = checkPlain(bytes);
      expect(checked.corruptions, told).toEqual([]);
      if (random(6) !== 0) continue;
      // The same commit once more, on what the cut left.
      const again = memoryDevice(bytes);
      await commit(again, overlay);
      total.again += 1;
      const [active, ...kept] = await disksOf(again.snapshotBytes());
      expect([active], told).toEqual(shown.slice(0, 1));
      expect(kept, told).toEqual(snapshots);
    }
    const [active] = await disksOf(device.snapshotBytes());
    expect([active]).toEqual(shown.slice(0, 1));
    expect(checkPlain(device.snapshotBytes())).toEqual({ corruptions: [], leaks });
  });

  test('a rebase to nothing', async () => {
    const overlay = await overlayOn(base, random);
    const gate = gateTo(base);
    const shown = await disksOf(overlay, gate);
    const device = recordingDevice(overlay);
    await rebaseDisk(
      device,
      { disk: undefined },
      { disk: { gate, decompressor }, clustersAtOnce: 8 },
    );
    await setBacking(device, undefined);
    const states = [
      ...crashStates(device.log, overlay, { seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES }),
    ];
    for (const { bytes, description } of oneIn(Math.ceil(states.length / 60), states)) {
      total.states += 1;
      const told = `seed ${SEED}, ${name}: ${description}`;
      expect(await disksOf(bytes, gate), told).toEqual(shown);
      expect(checkPlain(bytes).corruptions, told).toEqual([]);
    }
    expect(await disksOf(device.snapshotBytes())).toEqual(shown);
    expect(checkPlain(device.snapshotBytes())).toEqual({ corruptions: [], leaks: new Map() });
  });
});

afterAll(() => {
  console.log(
    `seed ${SEED}: ${total.states} crash states judged, ${total.again} commits made again`,
  );
  expect(total.states).toBeGreaterThan(100);
});
