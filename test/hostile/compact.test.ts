/** Images that are damaged at random, made compact: refused by name, or sound and equal, and soon. */
import { expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import { openForReading } from '../../src/image/open-for-reading.js';
import { memoryDevice } from '../../src/io/memory.js';
import { compactImage } from '../../src/make/compact/compact-image.js';
import type { CompactOptions } from '../../src/make/compact/compact-options.js';
import { checkImage } from '../../src/read/check/check-image.js';
import { PLATFORM } from '../support/compacted.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { mutate, pick, seededRandom, victimOf } from '../support/mutate.js';
import { cpuMilliseconds } from '../support/cpu-time.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 20_261_128);
const MUTANTS = Number(process.env['QSNAP_MUTANTS'] ?? 120);
const LARGEST_BYTES = 600_000;
const LONGEST_MS = 10_000;

const WAYS: readonly Partial<CompactOptions>[] = [
  {},
  { dropZeros: true },
  { dedupe: true },
  { compress: 'zlib' },
  { clusterBytes: 512 },
  { clusterBytes: 65_536, dedupe: true },
];

/** How many images were made. */
let made = 0;

/** What must not happen, in words. */
async function putThrough(bytes: Uint8Array, way: Partial<CompactOptions>): Promise<string[]> {
  const faults: string[] = [];
  const started = cpuMilliseconds();
  try {
    const device = memoryDevice();
    await compactImage(await openForReading(memoryDevice(bytes)), device, { ...PLATFORM, ...way });
    made += 1;
    // Signs of lost data stay: nobody knows what was there.
    const { totals, findings } = await checkImage(device);
    const flaws = totals.corruptions + totals.checkErrors + totals.leaks;
    if (flaws > 0) faults.push(`the new image is unsound: ${findings[0]?.message}`);
  } catch (error) {
    const isFault =
      !isQsnapError(error) || error.kind === 'internal' || error.code === 'VERIFY_FAILED';
    if (isFault) faults.push(String((error as Error).stack));
  }
  const took = cpuMilliseconds() - started;
  if (took > LONGEST_MS) faults.push(`took ${Math.round(took)} ms`);
  return faults;
}

test(`${MUTANTS} mutants (QSNAP_SEED=${SEED})`, async () => {
  const random = seededRandom(SEED);
  const small = fixtureNames().filter((name) => {
    const isReadable = name !== 'qcow-version-1' && !name.startsWith('feature-incompatible');
    return isReadable && loadFixture(name).length <= LARGEST_BYTES;
  });
  for (let i = 0; i < MUTANTS; i++) {
    const name = pick(random, small);
    const { bytes, description } = mutate(victimOf(loadFixture(name)), random);
    const way = pick(random, WAYS);
    const faults = await putThrough(bytes, way);
    expect(faults, `mutant ${i} of ${name}, ${JSON.stringify(way)}: ${description}`).toEqual([]);
  }
  expect(made).toBeGreaterThan(MUTANTS / 10);
});
