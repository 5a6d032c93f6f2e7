/** Scans of images that are damaged at random, and of remains that were crafted: bounded, and never an error of ours. */
import { cpuMilliseconds } from '../support/cpu-time.js';
import { expect, test } from 'vitest';
import {
  imageWithCandidate,
  isDiskCandidate,
  memoryDevice,
  openGuestDisk,
  openImage,
  executePlan,
  planDelete,
  recoveredRanges,
  scanImage,
} from '../../src/index.js';
import { isQsnapError } from '../../src/errors.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { buildImage } from '../support/image-builder.js';
import { putU32, putU64 } from '../support/image-builder-layout.js';
import { mutate, pick, seededRandom, victimOf } from '../support/mutate.js';
import { unpunched } from '../support/unpunched.js';
import { metered } from './ordeal.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_261_130);
const MUTANTS = Number(process.env['QSNAP_MUTANTS'] ?? 100);
const LARGEST_BYTES = 600_000;
const LONGEST_MS = 10_000;
/** A few readings of all tables, and one of the file. */
const READINGS = 24;

/** Candidates that were read as disks. */
let disks = 0;

/** Scans, and reads the disks of the first candidates. What must not happen, in words. */
async function putThrough(bytes: Uint8Array): Promise<string[]> {
  const source = metered(memoryDevice(bytes));
  const faults: string[] = [];
  const started = cpuMilliseconds();
  try {
    const report = await scanImage(source);
    const most = READINGS * (bytes.length + 2 ** 20);
    if (source.readBytes() > most) faults.push(`read ${source.readBytes()} of ${bytes.length}`);
    for (const candidate of report.candidates.filter(isDiskCandidate).slice(0, 4)) {
      if (!report.hasHeader) break;
      const { image, snapshot } = imageWithCandidate(report.basis, candidate);
      let end = 0;
      for await (const { start, length } of recoveredRanges(report.basis, snapshot)) {
        if (start < end) faults.push(`ranges overlap at ${start}`);
        end = start + length;
      }
      const disk = await openGuestDisk(image, { snapshot, onLost: () => undefined });
      await disk.readBatch([{ at: 0, into: new Uint8Array(65_536) }]);
      await disk.close();
      disks += 1;
    }
  } catch (error) {
    if (!isQsnapError(error) || error.kind === 'internal')
      faults.push(String((error as Error).stack));
  }
  const took = cpuMilliseconds() - started;
  if (took > LONGEST_MS) faults.push(`took ${Math.round(took)} ms`);
  return faults;
}

/** The same image with its first snapshot deleted, as where nothing is punched. */
async function withRemains(bytes: Uint8Array): Promise<Uint8Array> {
  const device = memoryDevice(bytes.slice(), 'image', { growable: true });
  try {
    const image = await openImage(device);
    const [first] = image.snapshots;
    if (first === undefined) return bytes;
    await executePlan(await planDelete(image, [first]));
  } catch (error) {
    // Not every fixture can be edited.
    if (!isQsnapError(error)) throw error;
    return bytes;
  }
  return unpunched(bytes, device.snapshotBytes());
}

test('a damaged image gives candidates or one error', async () => {
  const random = seededRandom(SEED);
  const images = fixtureNames()
    .filter((name) => name !== 'qcow-version-1' && !name.startsWith('feature-incompatible'))
    .map((name) => ({ name, bytes: loadFixture(name) }))
    .filter(({ bytes }) => bytes.length <= LARGEST_BYTES);
  for (let round = 0; round < MUTANTS; round++) {
    const { name, bytes } = pick(random, images);
    const mutant = mutate(victimOf(await withRemains(bytes)), random);
    const faults = await putThrough(mutant.bytes);
    expect(faults, `seed ${SEED}, round ${round}: ${name}: ${mutant.description}`).toEqual([]);
  }
  expect(disks).toBeGreaterThan(MUTANTS / 10);
}, 240_000);

/** An entry of a snapshot table that names an L1 table. */
function entryOf(l1At: number, l1Entries: number, diskSize: bigint, name: string): Uint8Array {
  const bytes = new Uint8Array(40 + 16 + 1 + name.length + 7 - ((40 + 16 + name.length) % 8));
  putU64(bytes, 0, BigInt(l1At));
  putU32(bytes, 8, l1Entries);
  bytes[13] = 1;
  bytes[15] = name.length;
  putU32(bytes, 16, 1_700_000_000);
  putU32(bytes, 36, 16);
  putU64(bytes, 48, diskSize);
  bytes.set(new TextEncoder().encode(`1${name}`), 56);
  return bytes;
}

test('remains that claim more than a file can hold cost no more than the file', async () => {
  const image = buildImage({});
  const clusterBytes = 65_536;
  const end = Math.ceil(image.length / clusterBytes) * clusterBytes;
  const bytes = new Uint8Array(end + 8 * clusterBytes);
  bytes.set(image);
  const l1At = end + clusterBytes;
  // A full table of entries, each with an L1 table as long as any.
  for (let at = end, i = 0; at + 64 < end + clusterBytes; i += 1) {
    const entry = entryOf(l1At, 2 ** 22, 2n ** 52n, `s${i}`);
    bytes.set(entry.subarray(0, Math.min(entry.length, end + clusterBytes - at)), at);
    at += entry.length;
  }
  // L1 tables and L2 tables that lead to themselves and to each other.
  for (let at = l1At; at < bytes.length; at += 8) {
    putU64(bytes, at, BigInt(l1At + ((at / 8) % 7) * clusterBytes) | (1n << 63n));
  }
  expect(await putThrough(bytes)).toEqual([]);
  const report = await scanImage(memoryDevice(bytes));
  expect(report.candidates.some(({ kind }) => kind === 'snapshot')).toBe(true);
}, 60_000);
