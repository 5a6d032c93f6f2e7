/**
 * Snapshots that qemu-img deleted where nothing was punched: a scan finds each of them, and what is recovered of its disk
 * is what QEMU read from it before. Images that have lost nothing have nothing to find.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  imageWithCandidate,
  memoryDevice,
  openGuestDisk,
  planRecovery,
  recoveredRanges,
  scanImage,
  withoutReused,
  writeRescued,
  type Candidate,
  type RecoveredRange,
  type ScanReport,
} from '../../src/index.js';
import { nodeDecompressor } from '../../src/node/index.js';
import { memoryDirectory, removeDirectories } from '../support/directories.js';
import { oneIn } from '../support/left-out.js';
import { makeImage, use } from '../support/made-images.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';
import { describeWithQemu, expectClean, qemuImg, qemuIo, snapshotList } from '../support/qemu.js';
import { unpunched } from '../support/unpunched.js';

const SEED = seedOf();
const directory = memoryDirectory();
afterAll(removeDirectories);

const MiB = 2 ** 20;

/** Ways to make images, by what they are called. */
const SHAPES: Readonly<Record<string, string>> = {
  plain: '',
  'version 2': 'compat=0.10',
  'clusters of 4 KiB': 'cluster_size=4k',
  'clusters of 512 bytes': 'cluster_size=512',
  'extended L2': 'extended_l2=on',
  'refcounts of 8 bits': 'refcount_bits=8',
  zstd: 'compression_type=zstd',
};

/** What qemu-img reads of a snapshot's disk. */
async function diskOf(image: string, snapshot: string): Promise<Uint8Array> {
  const raw = path.join(directory, 'snapshot.raw');
  await qemuImg(['convert', '-l', `snapshot.name=${snapshot}`, '-O', 'raw', image, raw]);
  return readFileSync(raw);
}

/** Deletes a snapshot with qemu-img, as on a medium without holes. */
async function deleteUnpunched(image: string, snapshot: string): Promise<void> {
  const before = readFileSync(image);
  await qemuImg(['snapshot', '-d', snapshot, image]);
  writeFileSync(image, unpunched(before, readFileSync(image)));
  await expectClean(image);
}

interface Recovered {
  readonly ranges: readonly RecoveredRange[];
  readonly disk: Uint8Array;
}

async function recovered(report: ScanReport, candidate: Candidate): Promise<Recovered> {
  const { image, snapshot } = imageWithCandidate(report.basis, candidate);
  const ranges: RecoveredRange[] = [];
  for await (const range of recoveredRanges(report.basis, snapshot, candidate.beside)) {
    if (range.start < snapshot.diskSizeBytes) ranges.push(range);
  }
  const disk = await openGuestDisk(image, {
    ...{ snapshot, decompressor: nodeDecompressor(), onLost: () => undefined },
  });
  const reused = ranges
    .filter(({ state }) => state === 'reused')
    .map(({ start, length }) => ({ at: start, length }));
  const into = new Uint8Array(snapshot.diskSizeBytes);
  await withoutReused(disk, reused).readBatch([{ at: 0, into }]);
  await disk.close();
  return { ranges, disk: into };
}

const namedIn = (report: ScanReport, name: string): Candidate | undefined =>
  report.candidates.find(({ snapshot }) => snapshot?.name === name);

/** Bytes of all ranges in a state. */
const bytesIn = (ranges: readonly RecoveredRange[], state: RecoveredRange['state']): number =>
  ranges.reduce((sum, range) => sum + (range.state === state ? range.length : 0), 0);

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/** What a candidate says it had is what it had; ranges have no gaps. */
function expectTrue({ ranges, disk }: Recovered, was: Uint8Array): void {
  let end = 0;
  for (const { start, length, state } of ranges) {
    expect(start).toBe(end);
    end = start + length;
    if (state !== 'candidate' && state !== 'none') continue;
    const isEqual = equal(disk.subarray(start, end), was.subarray(start, end));
    expect(isEqual, `${state} from ${start} to ${end}`).toBe(true);
  }
  expect(end).toBe(was.length);
}

describeWithQemu('snapshots that qemu-img deleted, nothing punched', () => {
  console.log(`QSNAP_SEED=${SEED}`);

  test.each(oneIn(2, Object.entries(SHAPES)))('%s', async (name, options) => {
    const image = path.join(directory, 'deleted.qcow2');
    await makeImage(
      ...[image, '8M', options],
      ['write -P 1 0 2M', 'write -P 2 5M 300k'],
      'snapshot one',
      ['write -P 3 1M 1M', 'write -z 5M 64k'],
      'snapshot two',
      ['write -P 4 0 512k', 'write -P 5 6M 1M'],
      'snapshot three',
      'write -P 6 7M 128k',
    );
    const was = { one: await diskOf(image, 'one'), two: await diskOf(image, 'two') };
    await deleteUnpunched(image, 'two');
    await deleteUnpunched(image, 'one');
    const report = await scanImage(memoryDevice(readFileSync(image)));
    const last = namedIn(report, 'one');
    expect(last?.plausibility, name).toBeGreaterThan(80);
    // Nothing was written since.
    const whole = await recovered(report, last!);
    expectTrue(whole, was.one);
    expect(equal(whole.disk, was.one)).toBe(true);
    expect(bytesIn(whole.ranges, 'reused')).toBe(0);
    // The second deletion has written a new snapshot table where the first one had freed clusters.
    const before = namedIn(report, 'two');
    if (before !== undefined && before.plausibility > 40) {
      expectTrue(await recovered(report, before), was.two);
    }
    // The deleted ones are shown, and the one that is left is not.
    expect(namedIn(report, 'three')).toBeUndefined();
  });

  test('one that is put back into a copy is there again for QEMU', async () => {
    const image = path.join(directory, 'back.qcow2');
    await makeImage(
      image,
      '8M',
      '',
      'write -P 1 0 2M',
      'snapshot one',
      'write -P 2 1M 2M',
      'snapshot two',
    );
    const was = await diskOf(image, 'one');
    await deleteUnpunched(image, 'one');
    const source = memoryDevice(readFileSync(image));
    const report = await scanImage(source);
    const { plan, disks } = await planRecovery(source, namedIn(report, 'one')!, []);
    const copy = memoryDevice(new Uint8Array(0), 'copy', { growable: true });
    await writeRescued(plan, disks, copy);
    const file = path.join(directory, 'copy.qcow2');
    writeFileSync(file, copy.snapshotBytes());
    await expectClean(file);
    expect((await snapshotList(file)).map(({ name }) => name).sort()).toEqual(['one', 'two']);
    expect(equal(await diskOf(file, 'one'), was)).toBe(true);
  });

  test('what was overwritten since is marked, and reads as zeros', async () => {
    const image = path.join(directory, 'overwritten.qcow2');
    await makeImage(image, '8M', '', 'write -P 1 0 2M', 'snapshot one', 'write -P 2 0 2M');
    const was = await diskOf(image, 'one');
    await deleteUnpunched(image, 'one');
    // New clusters come from the lowest that were freed.
    await use(image, 'write -P 9 4M 512k');
    const report = await scanImage(memoryDevice(readFileSync(image)));
    const result = await recovered(report, namedIn(report, 'one')!);
    expectTrue(result, was);
    expect(bytesIn(result.ranges, 'reused')).toBeGreaterThan(0);
    for (const { start, length, state } of result.ranges) {
      if (state !== 'reused') continue;
      expect(result.disk.subarray(start, start + length).every((byte) => byte === 0)).toBe(true);
    }
  });

  const histories = Array.from({ length: roundsOf(4) }, (_, i) => i);
  test.each(histories)('a random history (seed and %i)', async (round) => {
    const random = randomFrom(SEED + round);
    const image = path.join(directory, `history-${round}.qcow2`);
    const options = random.pick(Object.values(SHAPES));
    await makeImage(image, '8M', options);
    const was = new Map<string, Uint8Array>();
    const write = (): string =>
      `write -P ${1 + random.below(250)} ${random.below(120) * 64}k ${1 + random.below(512)}k`;
    for (let i = 0; i < 4; i += 1) {
      await qemuIo(image, [write(), write(), write()]);
      await qemuImg(['snapshot', '-c', `s${i}`, image]);
      was.set(`s${i}`, await diskOf(image, `s${i}`));
    }
    for (const name of ['s2', 's0']) await deleteUnpunched(image, name);
    await qemuIo(image, [write()]);
    const report = await scanImage(memoryDevice(readFileSync(image)));
    for (const name of ['s0', 's2']) {
      const candidate = namedIn(report, name);
      // A write may have taken the table or the L1 of one of them.
      if (candidate === undefined || candidate.plausibility < 30) continue;
      expectTrue(await recovered(report, candidate), was.get(name)!);
    }
  });
});

describeWithQemu('images that have lost nothing', () => {
  const rounds = Array.from({ length: roundsOf(12) }, (_, i) => i);
  test('no candidate is worth a look', async () => {
    for (const round of rounds) {
      const random = randomFrom(SEED + 1000 + round);
      const image = path.join(directory, 'nothing.qcow2');
      const writes = Array.from({ length: 1 + random.below(6) }, () => {
        return `write -P ${random.below(256)} ${random.below(100) * 64}k ${1 + random.below(600)}k`;
      });
      await makeImage(image, '8M', random.pick(Object.values(SHAPES)), writes);
      if (random.below(2) === 0) await use(image, 'snapshot kept', writes.slice(0, 1));
      const bytes = new Uint8Array(readFileSync(image));
      const report = await scanImage(memoryDevice(bytes));
      expect(report.candidates.filter(({ plausibility }) => plausibility > 20)).toEqual([]);
      // Guest data that was freed is no remains of the image's own structures.
      const tail = new Uint8Array(MiB).map((_, i) => (i % 7 === 0 ? 0 : random.below(256)));
      const more = new Uint8Array(bytes.length + tail.length);
      more.set(bytes);
      more.set(tail, bytes.length);
      const again = await scanImage(memoryDevice(more));
      expect(again.candidates.filter(({ plausibility }) => plausibility > 20)).toEqual([]);
      expect(again.dataBytes).toBeGreaterThan(MiB / 2);
    }
  });

  test('punched clusters say that nothing can be had', async () => {
    const image = path.join(directory, 'punched.qcow2');
    await makeImage(image, '8M', '', 'write -P 1 0 2M', 'snapshot one', 'write -P 2 0 2M');
    await qemuImg(['snapshot', '-d', 'one', image]);
    const report = await scanImage(memoryDevice(readFileSync(image)));
    expect(report.candidates).toEqual([]);
    expect(report.dataBytes).toBe(0);
    expect(report.unreferencedBytes).toBeGreaterThan(2 * MiB);
  });
});
