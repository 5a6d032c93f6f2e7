/**
 * The power fails while a compact copy is written: what is there then is no image, or all of the new one. Every state
 * that the medium may have is made from the calls that the copy made.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { createImage } from '../../src/make/new/create-image.js';
import { compactImage } from '../../src/make/compact/compact-image.js';
import type { CompactOptions } from '../../src/make/compact/compact-options.js';
import { PLATFORM } from '../support/compacted.js';
import { contentsOf } from '../support/compact-images.js';
import { checkPlain } from '../support/crash-judge.js';
import { loadFixture } from '../support/fixture.js';
import { PLAIN } from '../support/new-image.js';
import { crashStates, recordingDevice } from '../support/recording-device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4711);
const SUBSETS = Number(process.env['QSNAP_CRASH_SUBSETS'] ?? 6);
const SAMPLES = Number(process.env['QSNAP_CRASH_SAMPLES'] ?? 12);

const FIXTURES = [
  ...['five-snapshots', 'compressed-v2', 'compressed-spanning', 'extended-l2-16k'],
  ...['vm-state-v2', 'backing-chain', 'backing-json-name', 'zeros', 'names-long', 'cluster-512'],
  ...['extension-unknown', 'refcount-many-blocks', 'empty-disk-snapshot'],
];

const WAYS: Readonly<Record<string, Partial<CompactOptions>>> = {
  'as it is': {},
  'smaller in every way': { dropZeros: true, dedupe: true, compress: 'zlib' },
  'in clusters of 4 KiB': { clusterBytes: 4096, extendedL2: false },
};

const total = { copies: 0, states: 0, images: 0 };

/** Its header takes more than a sector, which is all that a medium writes at once. */
async function longHeader(): Promise<Uint8Array> {
  const device = memoryDevice();
  const name = new TextEncoder().encode(`${'deep/'.repeat(180)}base.qcow2`);
  await createImage(device, { ...PLAIN, backing: { name, format: 'qcow2' } });
  return device.snapshotBytes();
}

describe.each(['a long header', ...FIXTURES])('%s', (name) => {
  test.each(Object.entries(WAYS))('%s: no image, or all of the new one', async (_, way) => {
    const bytes = name === 'a long header' ? await longHeader() : loadFixture(name);
    const device = recordingDevice();
    await compactImage(await openImage(memoryDevice(bytes)), device, { ...PLATFORM, ...way });
    const made = device.snapshotBytes();
    const before = contentsOf(bytes);
    const isSame = contentsOf(made).map((disk, i) => Buffer.compare(disk, before[i]!) === 0);
    expect(isSame).toEqual(before.map(() => true));
    total.copies += 1;
    const short: string[] = [];
    const options = { seed: SEED, subsetLimit: SUBSETS, samples: SAMPLES };
    for (const state of crashStates(device.log, new Uint8Array(0), options)) {
      total.states += 1;
      if (state.bytes.subarray(0, 512).every((byte) => byte === 0)) continue;
      total.images += 1;
      // Whoever opens it finds the whole image: it is sound, and has all disks.
      if (Buffer.compare(state.bytes, made) !== 0) short.push(state.description);
    }
    expect(short.slice(0, 3), `seed ${SEED}`).toEqual([]);
    expect(checkPlain(made)).toEqual({ corruptions: [], leaks: new Map() });
  });
});

afterAll(() => {
  const { copies, states, images } = total;
  console.log(`seed ${SEED}: ${states} states of ${copies} copies judged, ${images} are images`);
});
