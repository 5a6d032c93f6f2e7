import { describe, expect, test } from 'vitest';
import { isQsnapError } from '../../src/errors.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { leaveOut } from '../support/left-out.js';
import { pick, seededRandom, victimOf } from '../support/mutate.js';
import { opened, putThrough } from './ordeal.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 7);
const CUTS = Number(process.env['QSNAP_CUTS'] ?? 12);
const LARGEST_BYTES = 1_300_000;

/** The code with which an image is refused; "opened" when it is not. */
async function refusalOf(bytes: Uint8Array): Promise<string> {
  try {
    await opened(bytes);
    return 'opened';
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return error.code;
  }
}

describe('what is no qcow2 image is refused by its nature', () => {
  const sound = loadFixture('version-3');

  test('an empty file, and every file shorter than a header', async () => {
    expect(await refusalOf(new Uint8Array(0))).toBe('NOT_QCOW2');
    for (let length = 1; length < 104; length++) {
      const code = await refusalOf(sound.slice(0, length));
      expect(code, `${length} bytes`).toBe(length < 8 ? 'NOT_QCOW2' : 'IMAGE_TRUNCATED');
    }
  });

  // It was said that they do not start with the magic.
  test('a file that ends behind the magic ends inside its header', async () => {
    for (const length of [4, 5, 6, 7]) {
      const message = `not a qcow2 image: the file ends inside its header, after ${length} bytes`;
      await expect(opened(sound.slice(0, length))).rejects.toMatchObject({ message });
    }
    // What is too short for the magic has none that could be wrong.
    await expect(opened(sound.slice(0, 3))).rejects.toMatchObject({
      message: 'not a qcow2 image: the file has 3 bytes, and a header has 72 at least',
    });
    await expect(opened(new Uint8Array(0))).rejects.toMatchObject({
      message: 'not a qcow2 image: the file is empty, and a header has 72 at least',
    });
  });

  test('every other magic', async () => {
    for (let bit = 0; bit < 32; bit++) {
      const bytes = sound.slice();
      bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7));
      expect(await refusalOf(bytes), `bit ${bit} of the magic`).toBe('NOT_QCOW2');
    }
    for (const text of ['\x7fELF', 'KDMV', 'conectix', 'vhdxfile', '# a text file\n', 'QED\0']) {
      const bytes = new Uint8Array(65_536);
      bytes.set(Buffer.from(text, 'latin1'));
      expect(await refusalOf(bytes), text).toBe('NOT_QCOW2');
    }
  });

  test('the first version and versions to come', async () => {
    expect(await refusalOf(loadFixture('qcow-version-1'))).toBe('QCOW_VERSION_1');
    for (const version of [0, 4, 5, 255, 2 ** 31, 2 ** 32 - 1]) {
      const bytes = sound.slice();
      new DataView(bytes.buffer).setUint32(4, version);
      expect(await refusalOf(bytes), `version ${version}`).toBe('UNSUPPORTED_VERSION');
    }
  });

  test('random bytes, with and without the magic', async () => {
    const random = seededRandom(SEED);
    for (let i = 0; i < 200; i++) {
      const bytes = Uint8Array.from({ length: 512 + random(4096) }, () => random(256));
      if (i % 2 === 0) bytes.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 2 + random(2)]);
      const { faults } = await putThrough(bytes);
      expect(faults, `seed ${SEED}, file ${i}`).toEqual([]);
    }
  });
});

describe('a file that ends too early does no harm', () => {
  const names = fixtureNames().filter((name) => {
    return name !== 'qcow-version-1' && !name.startsWith('feature-incompatible');
  });

  test.each(names)('%s', async (name) => {
    const bytes = loadFixture(name);
    if (bytes.length > LARGEST_BYTES) {
      leaveOut(`${name}, which is too large to be cut so often`);
      return;
    }
    const random = seededRandom(SEED);
    const { regions } = victimOf(bytes);
    const boundaries = regions.flatMap((region) => {
      const end = region.at + region.bytes;
      return [region.at, region.at + 1, end - 1, end, end + 1];
    });
    const lengths = new Set([0, 1, 71, 72, 103, 104, 511, 512, bytes.length - 1]);
    for (let i = 0; i < CUTS; i++) {
      lengths.add(pick(random, boundaries));
      lengths.add(random(bytes.length));
    }
    for (const length of lengths) {
      const { faults } = await putThrough(bytes.slice(0, length));
      expect(faults, `seed ${SEED}, ${name} cut to ${length} bytes`).toEqual([]);
    }
  });
});
