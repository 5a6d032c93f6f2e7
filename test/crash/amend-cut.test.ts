/**
 * A power cut while an image becomes one of another version, or gets lazy refcounts, leaves it as it was or as it is to
 * be: sound, without a new leak, and with every disk.
 */
import { createHash } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { planDataFile } from '../../src/edit/header/plan-data-file.js';
import { planLazyRefcounts } from '../../src/edit/header/plan-lazy-refcounts.js';
import { completeHeader, setBacking } from '../../src/edit/header/set-backing.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { planVersion } from '../../src/edit/version/plan-version.js';
import { MiB } from '../../src/base/units.js';
import { isQsnapError } from '../../src/errors.js';
import type { OpenImage } from '../../src/image/image.js';
import { openImage } from '../../src/image/open.js';
import type { BlockDevice } from '../../src/io/device.js';
import { memoryDevice } from '../../src/io/memory.js';
import { nodeDecompressor } from '../../src/node/index.js';
import type { Gate } from '../../src/read/guest/gate.js';
import { openGuestDisk } from '../../src/read/guest/open-guest-disk.js';
import { checkPlain, contentsOf } from '../support/crash-judge.js';
import { shortcomings } from '../support/crash-judge-edits.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { crashStates, recordingDevice } from '../support/recording-device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 2111);
const total = { edits: 0, states: 0, refused: 0, unchanged: 0 };

const CHANGES = {
  'version 2': (image: OpenImage<BlockDevice>) => planVersion(image, 2),
  'version 3': (image: OpenImage<BlockDevice>) => planVersion(image, 3),
  'lazy refcounts': (image: OpenImage<BlockDevice>) => planLazyRefcounts(image, true),
  'another data file': (image: OpenImage<BlockDevice>) =>
    planDataFile(image, { name: Buffer.from('a/longer/name/than/before.raw'), raw: false }),
  'no lazy refcounts': (image: OpenImage<BlockDevice>) => planLazyRefcounts(image, false),
} as const;

/** What the header says, but for where tables lie and the names of features. */
async function headOf(bytes: Uint8Array): Promise<string> {
  const { header, backingNameBytes, extensions } = await openImage(memoryDevice(bytes));
  const kinds = extensions.filter(({ kind }) => kind !== 'feature-names').map(({ kind }) => kind);
  const { version, lazyRefcounts, rawExternalData, diskSizeBytes } = header;
  const dataFile = extensions.find(({ kind }) => kind === 'data-file-name')?.bytes;
  const names = [backingNameBytes, dataFile].map(String);
  return JSON.stringify([version, lazyRefcounts, rawExternalData, diskSizeBytes, names, kinds]);
}

/** What lies below an image that stands on something: nowhere zeros. */
const BELOW: Gate = {
  openBacking: () => {
    const source = memoryDevice(new Uint8Array(8 * MiB).fill(0x5a));
    return Promise.resolve({ source, format: 'raw', identity: 'below' });
  },
  openDataFile: () => Promise.resolve(memoryDevice(new Uint8Array(8 * MiB).fill(0xa5))),
};

/** Of the disk and of every snapshot, as a guest reads them. */
async function guestHashes(bytes: Uint8Array): Promise<readonly string[]> {
  const image = await openImage(memoryDevice(bytes));
  // What decrypts to what is another test's.
  if (image.header.encryption !== 'none') return [];
  const hashes: string[] = [];
  for (const snapshot of [undefined, ...image.snapshots]) {
    const options = { snapshot, gate: BELOW, decompressor: nodeDecompressor() };
    const disk = await openGuestDisk(image, options);
    const hash = createHash('sha256');
    const into = new Uint8Array(MiB);
    const sizeBytes = await disk.sizeBytes();
    for (let at = 0; at < Math.min(sizeBytes, 64 * MiB); at += MiB) {
      const part = into.subarray(0, Math.min(MiB, sizeBytes - at));
      await disk.readBatch([{ at, into: part }]);
      hash.update(part);
    }
    hashes.push(hash.digest('hex'));
    await disk.close();
  }
  return hashes;
}

/** In what entries of their own have zeros: these are cut in every run. */
const ALWAYS = ['zeros', 'backing-chain', 'five-snapshots', 'extra-data-v2', 'version-2'];
const BESIDE = ['data-file', 'data-file-raw'];
const NAMES = [...new Set([...ALWAYS, ...BESIDE, ...oneIn(8, fixtureNames())])];

/** The images, and those with zeros once more on top of a file that shows where these are lost. */
const IMAGES = [...NAMES, 'zeros over a file', 'five-snapshots over a file'];

async function imageNamed(name: string): Promise<Uint8Array> {
  const [fixture, isOver] = [name.replace(' over a file', ''), name.endsWith(' over a file')];
  if (!isOver) return loadFixture(fixture);
  const device = memoryDevice(loadFixture(fixture));
  await setBacking(device, { name: 'below', format: 'raw' });
  return device.snapshotBytes();
}

describe.each(IMAGES)('%s', (fixture) => {
  test.each(Object.entries(CHANGES))('%s', async (_, planOf) => {
    const before = await imageNamed(fixture);
    const device = recordingDevice(before);
    try {
      const plan = await planOf(await openImage(device));
      total.unchanged += plan === undefined ? 1 : 0;
      if (plan === undefined) return;
      await executePlan(plan);
      await completeHeader(device, plan);
    } catch (error) {
      // What no edit may touch, and what version 2 has no place for, stays as it is.
      if (!isQsnapError(error)) throw error;
      expect(Buffer.from(device.snapshotBytes()).equals(before)).toBe(true);
      total.refused += 1;
      return;
    }
    total.edits += 1;
    const after = device.snapshotBytes();
    // The judge tells zeros of a flag from those of no entry; to guests they are the same.
    expect(await guestHashes(after)).toEqual(await guestHashes(before));
    const contents = [contentsOf(before), contentsOf(after)];
    const allowed = { contents, leaks: checkPlain(before).leaks };
    const known = shortcomings(before, allowed);
    const heads = [await headOf(before), await headOf(after)];
    expect(heads[0]).not.toBe(heads[1]);
    for (const state of crashStates(device.log, before, {
      seed: SEED,
      subsetLimit: 6,
      samples: 24,
    })) {
      total.states += 1;
      const told = `seed ${SEED}, ${fixture}: ${state.description}`;
      const found = shortcomings(state.bytes, allowed).filter((one) => !known.includes(one));
      expect(found, told).toEqual([]);
      expect(heads, told).toContain(await headOf(state.bytes));
    }
  });
});

afterAll(() => {
  const { edits, states, refused, unchanged } = total;
  console.log(
    `seed ${SEED}: ${states} crash states of ${edits} changes judged, ${refused} refused, ` +
      `${unchanged} had nothing to do`,
  );
  expect(states).toBeGreaterThan(edits);
});
