/** Images that are damaged at random, without their guest data: refused by name or copied, soon, and nothing planted left. */
import { expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import { openForReading } from '../../src/image/open-for-reading.js';
import type { OpenImage } from '../../src/image/image.js';
import type { BlockDevice, BlockSource } from '../../src/io/device.js';
import { memoryDevice } from '../../src/io/memory.js';
import { dehydrateImage } from '../../src/make/dehydrate/dehydrate-image.js';
import { rehydrateImage } from '../../src/make/dehydrate/rehydrate-image.js';
import { nodeCompressor } from '../../src/node/index.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { putU32 } from '../support/image-builder-layout.js';
import { mutate, pick, seededRandom, victimOf } from '../support/mutate.js';
import { metadataMask } from '../support/plain-metadata.js';
import { cpuMilliseconds } from '../support/cpu-time.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_261_130);
const MUTANTS = Number(process.env['QSNAP_MUTANTS'] ?? 300);
const LARGEST_BYTES = 600_000;
const LONGEST_MS = 10_000;
const SECRET = Buffer.from('S3CR3T-of-a-guest');
/** Damaged from the start, so that plain code can't tell what is metadata. */
const LEFT_OUT = /^(qcow-version-1|feature-incompatible.*|l2-past-end|l2-unaligned)$/;

/** Of bits alone nobody can tell what they are: a wrong pointer makes refcounts, or a bitmap, of what a guest wrote. */
const BITS = /^(refcount-[124]|bitmaps.*|everything)$/;

/** How many were copied. */
let copied = 0;

/** A fixture with a secret in all bytes but metadata. */
function planted(bytes: Uint8Array, mask: Uint8Array): Uint8Array {
  return bytes.map((byte, at) => (mask[at] === 1 ? byte : SECRET[at % SECRET.length]!));
}

/** Whether the damage put the secret into metadata. */
function isInMetadata(bytes: Uint8Array, mask: Uint8Array): boolean {
  return Buffer.from(bytes.map((byte, at) => (mask[at] === 1 ? byte : 0))).includes(SECRET);
}

async function putThrough(bytes: Uint8Array, mayBeBits: boolean): Promise<string[]> {
  const faults: string[] = [];
  const started = cpuMilliseconds();
  try {
    const open = (): Promise<OpenImage> => openForReading(memoryDevice(bytes));
    const [dry, again, wet] = [memoryDevice(), memoryDevice(), memoryDevice()];
    const { leftOut } = await dehydrateImage(await open(), dry, { compressor: nodeCompressor() });
    copied += 1;
    const made = Buffer.from(dry.snapshotBytes());
    if (made.length !== bytes.length) faults.push(`${made.length} bytes`);
    if (!mayBeBits && made.includes(SECRET)) faults.push(`a secret at ${made.indexOf(SECRET)}`);
    await dehydrateImage(await openForReading(dry), again, { compressor: nodeCompressor() });
    // What only led to a table that was left out is not found again.
    const isSame = made.equals(again.snapshotBytes());
    if (!isSame && leftOut.length === 0) faults.push('another one the second time');
    await rehydrateImage(await open(), wet, { compressor: nodeCompressor() });
  } catch (error) {
    const isFault = !isQsnapError(error) || error.kind === 'internal';
    if (isFault) faults.push(String((error as Error).stack));
  }
  const took = cpuMilliseconds() - started;
  if (took > LONGEST_MS) faults.push(`took ${Math.round(took)} ms`);
  return faults;
}

test(`${MUTANTS} mutants (QSNAP_SEED=${SEED})`, async () => {
  const random = seededRandom(SEED);
  const small = fixtureNames().filter((name) => {
    return !LEFT_OUT.test(name) && loadFixture(name).length <= LARGEST_BYTES;
  });
  for (let i = 0; i < MUTANTS; i++) {
    const name = pick(random, small);
    const sound = loadFixture(name);
    const mask = metadataMask(sound);
    const { bytes, description } = mutate(victimOf(planted(sound, mask)), random);
    if (isInMetadata(bytes, mask)) continue;
    const faults = await putThrough(bytes, BITS.test(name));
    expect(faults, `mutant ${i} of ${name}: ${description}`).toEqual([]);
  }
  expect(copied).toBeGreaterThan(MUTANTS / 2);
});

/** A file that is zeros for as far as it goes, but for some bytes at its start. */
function sparseSource(bytes: Uint8Array, sizeBytes: number): BlockSource {
  return {
    label: 'sparse',
    sizeBytes: () => Promise.resolve(sizeBytes),
    readBatch: (requests) => {
      for (const { at, into } of requests) {
        const there = bytes.subarray(Math.min(at, bytes.length), at + into.length);
        into.set(there);
        into.fill(0, there.length);
      }
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

/** An empty file that keeps nothing: a terabyte has no room in memory. */
function forgetful(): BlockDevice & { readonly writtenBytes: () => number } {
  let writtenBytes = 0;
  return {
    ...sparseSource(new Uint8Array(0), 0),
    growable: true,
    writeBatch: (requests) => {
      for (const { bytes } of requests) writtenBytes += bytes.length;
      return Promise.resolve();
    },
    flush: () => Promise.resolve(),
    truncate: () => Promise.resolve(),
    punchBatch: () => Promise.resolve(0),
    writtenBytes: () => writtenBytes,
  };
}

const L1_ENTRIES_AT = 36;
/** The fixture has 1 MiB of metadata. */
const MOST_WRITTEN_BYTES = 2 ** 21;

test.each([
  [
    'an L1 table of 32 MiB',
    2 ** 40,
    (bytes: Uint8Array) => {
      putU32(bytes, L1_ENTRIES_AT, 4 * 2 ** 20);
    },
  ],
  ['a file of 16 TiB', 2 ** 44, () => undefined],
] as const)(
  '%s: zeros are not written, and it takes no longer than it should',
  async (_, size, lie) => {
    const bytes = loadFixture('five-snapshots');
    lie(bytes);
    const started = cpuMilliseconds();
    const device = forgetful();
    const report = await dehydrateImage(await openForReading(sparseSource(bytes, size)), device);
    expect(report.fileSizeBytes).toBe(size);
    expect(device.writtenBytes()).toBeLessThan(MOST_WRITTEN_BYTES);
    expect(cpuMilliseconds() - started).toBeLessThan(LONGEST_MS);
  },
);
