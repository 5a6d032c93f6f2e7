/** Every trap of the format, as an image: opened or refused as it should be, and no harm done. */
import { afterAll, describe, expect, test } from 'vitest';
import { isQsnapError, openImage } from '../../../src/index.js';
import { checkImage } from '../../../src/read/check/check-image.js';
import { putThrough } from './campaign.js';
import { Faces } from './faces.js';
import { Meter } from './meter.js';
import { SpecimenDevice, type Specimen } from './specimen.js';
import { seedOf } from '../../support/model-random.js';
import { seededRandom } from '../../support/mutate.js';
import { TRAPS } from './traps.js';
import { IS_PLAIN } from '../../support/left-out.js';

/** Command lines that each is given to: others with another seed, all with QSNAP_THOROUGH=1. */
const IS_THOROUGH = process.env['QSNAP_THOROUGH'] === '1';
const COMMANDS = IS_THOROUGH
  ? undefined
  : { count: IS_PLAIN ? 1 : 5, random: seededRandom(seedOf()) };

const faces = new Faces();
afterAll(() => {
  faces.close();
});

async function opening(specimen: Specimen): Promise<string | true> {
  try {
    await openImage(new SpecimenDevice(specimen));
    return true;
  } catch (error) {
    if (isQsnapError(error)) return error.code;
    throw error;
  }
}

describe('no harm comes of', { timeout: 120_000 }, () => {
  test.each(TRAPS)('$name', async ({ make, opens }) => {
    const specimen = make();
    expect(await opening(specimen)).toBe(opens);
    const meter = new Meter(specimen, { cpuMs: 0, pieceBytes: 0, residentBytes: 0 });
    const image = await meter.whole(() => putThrough(specimen, 1, meter));
    await faces.run(specimen, image, meter, COMMANDS);
    expect(meter.faults).toEqual([]);
  });
});

test('the image that the traps are set in is sound', async () => {
  const sound = TRAPS.filter(({ name }) => name.startsWith('nothing'));
  expect(sound).toHaveLength(4);
  for (const { make } of sound) {
    const { totals, beyondQemu } = await checkImage(new SpecimenDevice(make()));
    expect(totals).toMatchObject({ corruptions: 0, leaks: 0, checkErrors: 0 });
    expect(beyondQemu.corruptions).toBe(0);
  }
});

test('no two traps have the same name', () => {
  expect(new Set(TRAPS.map(({ name }) => name)).size).toBe(TRAPS.length);
});
