/** Files that were cut off: what a repair would cover with zeros, nobody could tell from what a guest wrote. */
import { expect, test } from 'vitest';
import { checkImage } from '../../../../src/read/check/check-image.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { parseRepairWords } from '../../../../src/edit/repair/choice.js';
import { proposeRepair } from '../../../../src/edit/repair/propose.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { patientOf } from '../../../support/damage.js';
import { loadFixture } from '../../../support/fixture.js';
import {
  blockAt,
  COPIED_BIT,
  putRefcountAt,
  putU64,
} from '../../../support/image-builder-layout.js';

/** An image of which the last clusters are guest data, without its last `lacking` bytes. */
function cutBy(lacking: number): Uint8Array {
  const { bytes, layout, fileClusters, standard } = patientOf(loadFixture('version-3'));
  const { clusterBytes, refcountBits } = layout;
  const longer = new Uint8Array((fileClusters + 2) * clusterBytes).fill(5);
  longer.set(bytes);
  const last = Math.max(...standard.filter(({ active }) => active).map(({ at }) => at));
  for (const i of [0, 1]) {
    const cluster = fileClusters + i;
    putU64(longer, last + (i + 1) * 8, BigInt(cluster * clusterBytes) | COPIED_BIT);
    putRefcountAt(longer, blockAt(longer, layout, cluster), refcountBits, cluster, 1n);
  }
  return longer.slice(0, longer.length - lacking);
}

const CLUSTER_BYTES = patientOf(loadFixture('version-3')).layout.clusterBytes;
const propose = (lacking: number, ...words: string[]) =>
  proposeRepair(memoryDevice(cutBy(lacking)), () => parseRepairWords(words));

// The cluster that is gone was given up by the class, and the one before, of which a part is left, with it.
test.each([1, 100, CLUSTER_BYTES / 2])(
  'a cluster and %i bytes: no repair hides them',
  async (part) => {
    const lacking = CLUSTER_BYTES + part;
    const before = await checkImage(memoryDevice(cutBy(lacking)));
    expect(before.findings.map(({ code }) => code)).toContain('FILE_CUT_OFF');
    await expect(propose(lacking, 'all', 'unreadable')).rejects.toMatchObject({
      code: 'REPAIR_REFUSED',
      message: expect.stringContaining('a part of guest data') as string,
    });
  },
);

test('whole clusters are given up by the class, and a part of one by name', async () => {
  const whole = await propose(CLUSTER_BYTES, 'all', 'unreadable');
  expect(whole.after.exitCode).toBe(0);
  const device = memoryDevice(cutBy(CLUSTER_BYTES + 100));
  const words = ['all', 'unreadable', 'FILE_CUT_OFF'];
  const { plan } = await proposeRepair(device, () => parseRepairWords(words));
  await executePlan(plan!);
  expect(await checkImage(device)).toMatchObject({ exitCode: 0 });
});
