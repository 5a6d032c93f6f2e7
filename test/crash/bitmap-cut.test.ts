/** A power cut while bitmaps are changed leaves the old ones or the new ones, and all else as it was. */
import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import { checkImage, editBitmaps, memoryDevice, openImage } from '../../src/index.js';
import { plainBitmaps } from '../support/bitmap-bits.js';
import { BITMAP_CHANGES } from '../support/bitmap-cases.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { IS_PLAIN, oneIn } from '../support/left-out.js';
import { crashStates, recordingDevice } from '../support/recording-device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 21);
const total = { edits: 0, states: 0, refused: 0 };

/** What bitmaps are, and what else the header and the snapshot table say. */
async function sides(bytes: Uint8Array) {
  const { header, extensions, snapshots, backingNameBytes } = await openImage(memoryDevice(bytes));
  const { refcountTable: _table, autoclear: _bits, backingName: _name, ...rest } = header;
  const others = extensions.filter(({ kind }) => kind !== 'bitmaps');
  const shown = others.map((extension) => `${extension.kind} ${String(extension.bytes)}`).sort();
  const isNames = (text: string): boolean => text.startsWith('feature-names');
  return {
    bitmaps: JSON.stringify(plainBitmaps(Buffer.from(bytes))),
    names: shown.filter(isNames),
    rest: {
      header: { ...rest, bitmapsConsistent: undefined, snapshotTable: undefined },
      extensions: shown.filter((text) => !isNames(text)),
      snapshots: snapshots.map(({ id, name, l1 }) => ({ id, name, l1 })),
      backing: backingNameBytes && String(backingNameBytes),
    },
  };
}

const isSound = async (bytes: Uint8Array): Promise<boolean> =>
  (await checkImage(memoryDevice(bytes))).exitCode === 0;

const EXTRA = ['bitmaps', 'bitmaps-snapshots', 'everything'];
/** Each state of a large one takes seconds. */
const isTaken = (name: string): boolean => !IS_PLAIN || loadFixture(name).length <= 2 ** 22;
const FIXTURES = [...new Set([...EXTRA, ...oneIn(6, fixtureNames().filter(isTaken))])];

describe.each(FIXTURES)('%s', (fixture) => {
  const before = loadFixture(fixture);
  test.each(oneIn(2, Object.entries(BITMAP_CHANGES)))('%s', async (_, actions) => {
    const device = recordingDevice(before);
    try {
      await editBitmaps(device, actions);
    } catch (error) {
      // What no edit may touch, and a bitmap that is not there: all stays as it is.
      if (!isQsnapError(error)) throw error;
      expect(Buffer.from(device.snapshotBytes()).equals(before)).toBe(true);
      total.refused += 1;
      return;
    }
    const [old, made] = [await sides(before), await sides(device.snapshotBytes())];
    expect(made.rest).toEqual(old.rest);
    expect(made.names).toEqual(old.names);
    const wasSound = await isSound(before);
    total.edits += 1;
    const options = { seed: SEED, subsetLimit: 6, samples: 24 };
    for (const { bytes, description } of crashStates(device.log, before, options)) {
      total.states += 1;
      const told = `seed ${SEED}, ${fixture}: ${description}`;
      const found = await sides(bytes);
      expect([old.bitmaps, made.bitmaps], told).toContain(found.bitmaps);
      if (found.names.length > 0) expect(found.names, told).toEqual(old.names);
      expect(found.rest, told).toEqual(old.rest);
      if (wasSound) expect(await isSound(bytes), told).toBe(true);
    }
  });
});

afterAll(() => {
  const { edits, states, refused } = total;
  console.log(
    `seed ${SEED}: ${states} crash states of ${edits} changes judged, ${refused} refused`,
  );
  expect(states).toBeGreaterThan(edits);
});
