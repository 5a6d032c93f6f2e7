/** A rescue of whatever is left, of images that are damaged at random and of ones that were crafted. */
import { expect, test } from 'vitest';
import { checkImage } from '../../src/read/check/check-image.js';
import { isQsnapError } from '../../src/errors.js';
import { memoryDevice } from '../../src/io/memory.js';
import { chooseRescued } from '../../src/make/rescue/choose.js';
import { planRescue } from '../../src/make/rescue/plan-rescue.js';
import { writeRescued } from '../../src/make/rescue/write-copy.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { layoutOf, putU32, putU64, snapshotsOf } from '../support/image-builder-layout.js';
import { mutate, pick, seededRandom, victimOf } from '../support/mutate.js';
import { metered } from './ordeal.js';
import { cpuMilliseconds } from '../support/cpu-time.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_261_128);
const MUTANTS = Number(process.env['QSNAP_MUTANTS'] ?? 150);
const LARGEST_BYTES = 600_000;
const LONGEST_MS = 10_000;
/** A few readings of all tables, and one of the file. */
const READINGS = 16;

/** How many copies were made. */
let copies = 0;

/** Rescues everything there is, and checks the copy. What must not happen, in words. */
async function putThrough(bytes: Uint8Array): Promise<string[]> {
  const source = metered(memoryDevice(bytes));
  const faults: string[] = [];
  const started = cpuMilliseconds();
  try {
    const plan = await planRescue(source);
    const most = READINGS * (bytes.length + 2 ** 20);
    if (source.readBytes() > most) faults.push(`read ${source.readBytes()} of ${bytes.length}`);
    const copy = memoryDevice();
    await writeRescued(plan, chooseRescued(plan, { all: true }), copy);
    copies += 1;
    const { totals, beyondQemu, findings } = await checkImage(copy);
    // Two places of a disk that name one cluster do so in the copy, too, and a size that is in doubt is kept:
    // nobody knows what is right.
    const kept = ['CLUSTER_AT_TWO_PLACES', 'DISK_SIZE_TOO_SMALL'];
    const beyond =
      beyondQemu.corruptions - findings.filter(({ code }) => kept.includes(code)).length;
    const flaws = totals.corruptions + totals.checkErrors + totals.leaks + beyond;
    if (flaws > 0) faults.push(`the copy is unsound: ${findings[0]?.message}`);
  } catch (error) {
    if (!isQsnapError(error) || error.kind === 'internal')
      faults.push(String((error as Error).stack));
  }
  const took = cpuMilliseconds() - started;
  if (took > LONGEST_MS) faults.push(`took ${Math.round(took)} ms`);
  return faults;
}

test('a damaged image gives a sound copy or one error', async () => {
  const random = seededRandom(SEED);
  // Of another format, and with features that nobody knows, there are no tables to damage.
  const images = fixtureNames()
    .filter((name) => name !== 'qcow-version-1' && !name.startsWith('feature-incompatible'))
    .map((name) => ({ name, bytes: loadFixture(name) }))
    .filter(({ bytes }) => bytes.length <= LARGEST_BYTES);
  for (let round = 0; round < MUTANTS; round++) {
    const { name, bytes } = pick(random, images);
    const mutant = mutate(victimOf(bytes), random);
    const faults = await putThrough(mutant.bytes);
    expect(faults, `seed ${SEED}, round ${round}: ${name}`).toEqual([]);
  }
  expect(copies).toBeGreaterThan(MUTANTS / 2);
}, 240_000);

// Each reading of such a table asked for 32 MiB of zeros.
test('of L1 tables that are said to be longer than the file only that is read which the file has', async () => {
  const bytes = loadFixture('refcount-1').slice();
  const header = layoutOf(bytes);
  for (const at of [36, header.snapshotTableAt + 8]) putU32(bytes, at, 2 ** 22);
  expect(await putThrough(bytes)).toEqual([]);
});

/** Clears the L1 tables of all snapshots, and says of each that its disk has so many bytes. */
function withLostSnapshots(name: string, diskSizeBytes: bigint): Uint8Array {
  const bytes = loadFixture(name).slice();
  for (const { at, l1At, l1Entries } of snapshotsOf(bytes).snapshots) {
    bytes.fill(0, l1At, l1At + l1Entries * 8);
    putU64(bytes, at + 48, diskSizeBytes);
  }
  return bytes;
}

// A rescue once made a list of 2^27 tables of such a snapshot.
test('a snapshot of a size that no image can have is brought back with that of the disk', async () => {
  const bytes = withLostSnapshots('five-snapshots', 2n ** 52n);
  expect(await putThrough(bytes)).toEqual([]);
  const { disks } = await planRescue(memoryDevice(bytes));
  const { diskSizeBytes } = layoutOf(bytes);
  expect(disks.slice(1).map((disk) => [disk.diskSizeBytes, disk.sizeInDoubt])).toEqual(
    Array.from({ length: 5 }, () => [diskSizeBytes, true]),
  );
});

test('snapshots that all claim the largest disk end in time', async () => {
  const { clusterBytes } = layoutOf(loadFixture('snapshots-300'));
  const largest = BigInt(2 ** 22 * (clusterBytes / 8)) * BigInt(clusterBytes);
  expect(await putThrough(withLostSnapshots('snapshots-300', largest))).toEqual([]);
});

/** A file of which every cluster is a table that leads to all the others. */
function crowdOfTables(clusters: number, clusterBytes: number): Uint8Array {
  const bytes = new Uint8Array(clusters * clusterBytes);
  bytes.set(loadFixture('cluster-512').subarray(0, 512));
  const view = new DataView(bytes.buffer);
  for (let cluster = 1; cluster < clusters; cluster++) {
    for (let i = 0; i < clusterBytes / 8; i++) {
      const target = 1 + ((cluster + i) % (clusters - 1));
      view.setBigUint64(
        cluster * clusterBytes + i * 8,
        BigInt(target * clusterBytes) | (1n << 63n),
      );
    }
  }
  return bytes;
}

test('tables that all lead to each other end in time', async () => {
  expect(await putThrough(crowdOfTables(4096, 512))).toEqual([]);
});

/** A file of which every cluster begins with an entry of a snapshot table. */
function crowdOfEntries(clusters: number): Uint8Array {
  const bytes = new Uint8Array(clusters * 512);
  const fixture = loadFixture('cluster-512');
  bytes.set(fixture.subarray(0, 512));
  const view = new DataView(bytes.buffer);
  for (let cluster = 1; cluster < clusters; cluster++) {
    const at = cluster * 512;
    view.setBigUint64(at, BigInt(512 * (1 + (cluster % (clusters - 1)))));
    view.setUint32(at + 8, 64);
    view.setUint16(at + 12, 1);
    view.setUint16(at + 14, 4);
    bytes.set(new TextEncoder().encode(`1n${cluster % 1000}`.padEnd(5, 'x')), at + 40);
  }
  return bytes;
}

test('snapshot tables in every cluster end in time', async () => {
  expect(await putThrough(crowdOfEntries(8192))).toEqual([]);
});
