/** A power cut while another backing file is recorded leaves the old one or the new one, and all else as it was. */
import { afterAll, describe, expect, test } from 'vitest';
import { setBacking } from '../../src/edit/header/set-backing.js';
import type { Image } from '../../src/image/image.js';
import { openImage } from '../../src/image/open.js';
import { memoryDevice } from '../../src/io/memory.js';
import { isQsnapError } from '../../src/errors.js';
import { NEW_BACKINGS } from '../support/backing-cases.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { crashStates, recordingDevice } from '../support/recording-device.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 21);
const total = { edits: 0, states: 0, refused: 0 };

/** What may be set of an image's header, and all else that lies in its first cluster. */
function sides({ backingNameBytes, extensions, header }: Image) {
  const format = extensions.find(({ kind }) => kind === 'backing-format')?.bytes;
  const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
  const others = extensions.filter(({ kind }) => kind !== 'backing-format');
  return {
    backing: `${hex(backingNameBytes)} ${hex(format)}`,
    names: others.filter(({ kind }) => kind === 'feature-names').map(({ bytes }) => hex(bytes)),
    others: others
      .filter(({ kind }) => kind !== 'feature-names')
      .map(({ kind, bytes }) => `${kind} ${hex(bytes)}`),
    header: { ...header, backingName: undefined, autoclear: undefined },
  };
}

const read = async (bytes: Uint8Array) => sides(await openImage(memoryDevice(bytes)));

describe.each(oneIn(6, fixtureNames()))('%s', (fixture) => {
  const before = loadFixture(fixture);
  test.each(Object.entries(NEW_BACKINGS))('%s', async (_, backing) => {
    const device = recordingDevice(before);
    try {
      await setBacking(device, backing);
    } catch (error) {
      // What no edit may touch, and what has no room, stays as it is.
      if (!isQsnapError(error)) throw error;
      expect(Buffer.from(device.snapshotBytes()).equals(before)).toBe(true);
      total.refused += 1;
      return;
    }
    const [old, made] = [await read(before), await read(device.snapshotBytes())];
    const { clusterBytes } = (await openImage(memoryDevice(before))).geometry;
    expect({ ...made, backing: '' }).toEqual({ ...old, backing: '' });
    total.edits += 1;
    const options = { seed: SEED, subsetLimit: 6, samples: 24 };
    for (const { bytes, description } of crashStates(device.log, before, options)) {
      total.states += 1;
      const told = `seed ${SEED}, ${fixture}: ${description}`;
      const { backing: found, names, ...rest } = await read(bytes);
      expect([old.backing, made.backing], told).toContain(found);
      if (names.length > 0) expect(names, told).toEqual(old.names);
      expect(rest, told).toEqual({ others: old.others, header: old.header });
      const [there, was] = [bytes, before].map((all) => Buffer.from(all).subarray(clusterBytes));
      expect(there!.equals(was!), told).toBe(true);
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
