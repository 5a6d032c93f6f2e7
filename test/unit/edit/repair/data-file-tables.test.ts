/** L2 tables of images with an external data file: what is mended in them, and what their entries keep. */
import { expect, test } from 'vitest';
import { checkImage, executePlan, memoryDevice, proposeRepair } from '../../../../src/index.js';
import type { RepairChoice } from '../../../../src/index.js';
import { COMPRESSED_BIT, COPIED_BIT, putU64, u64 } from '../../../support/image-builder-layout.js';
import { patientOf } from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';

const ALL: RepairChoice = { classes: ['all', 'leaks', 'unreadable'] };
const RESERVED = 1n << 57n;

/** The entries of all L2 tables in the order of the disk, of a fixture with one table. */
function entriesOf(bytes: Uint8Array): bigint[] {
  const { l2s, layout } = patientOf(bytes);
  const at = l2s[0]!.at;
  return Array.from({ length: layout.clusterBytes / 8 }, (_, i) => u64(bytes, at + i * 8));
}

async function repaired(
  name: string,
  damage: (bytes: Uint8Array, entryAt: number) => void,
  choice = ALL,
  left: readonly string[] = [],
): Promise<{ entries: bigint[]; sound: bigint[] }> {
  const bytes = loadFixture(name).slice();
  const sound = entriesOf(bytes);
  damage(bytes, patientOf(bytes).standard[0]!.at);
  const device = memoryDevice(bytes);
  const { plan } = await proposeRepair(device, () => choice);
  if (plan !== undefined) await executePlan(plan);
  const { findings } = await checkImage(device);
  expect(findings.map(({ code }) => code)).toEqual(left);
  return { entries: entriesOf(device.snapshotBytes()), sound };
}

test.each(['data-file', 'data-file-raw'])(
  '%s: nothing is written to a sound image',
  async (name) => {
    const device = memoryDevice(loadFixture(name));
    expect((await proposeRepair(device, () => ALL)).plan).toBeUndefined();
    expect((await checkImage(device)).exitCode).toBe(0);
  },
);

test.each(['data-file', 'data-file-raw'])('%s: flags and stray bits are mended', async (name) => {
  for (const change of [
    (was: bigint) => was & ~COPIED_BIT,
    (was: bigint) => was | RESERVED,
    (was: bigint) => (was & ~COPIED_BIT) | RESERVED,
  ]) {
    const { entries, sound } = await repaired(name, (bytes, at) => {
      putU64(bytes, at, change(u64(bytes, at)));
    });
    expect(entries).toEqual(sound);
  }
});

test('the bit that says "compressed" is cleared by name alone', async () => {
  const { entries, sound } = await repaired(
    'data-file',
    (bytes, at) => {
      putU64(bytes, at, (u64(bytes, at) | COMPRESSED_BIT) & ~COPIED_BIT);
    },
    { classes: [], findings: [{ code: 'L2_COMPRESSED_IN_DATA_FILE_IMAGE', at: undefined }] },
  );
  expect(entries).toEqual(sound);
});

test('an entry that leads elsewhere in the data file is left, and told', async () => {
  const damage = (bytes: Uint8Array, at: number): void => {
    putU64(bytes, at, COPIED_BIT | (2n ** 40n));
  };
  const { entries } = await repaired('data-file', damage, ALL, ['DATA_FILE_OFFSET_WRONG']);
  expect(entries).toContain(COPIED_BIT | (2n ** 40n));
});
