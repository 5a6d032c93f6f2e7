/** Refcount blocks that are lost where clusters may have owners that nobody knows. */
import { expect, test } from 'vitest';
import { memoryDevice } from '../../../src/io/memory.js';
import { parseRepairWords } from '../../../src/repair/choice.js';
import { proposeRepair } from '../../../src/repair/propose.js';
import { executePlan } from '../../../src/tx/execute.js';
import { checkPlain, contentsOf } from '../../support/crash-judge.js';
import { loadFixture } from '../../support/fixture.js';
import { layoutOf, OFFSET_MASK, putU64, u64 } from '../../support/image-builder-layout.js';

/** The image without one of its refcount blocks: it is zeros, or the table has no entry for it. */
function without(fixture: string, block: number, lost: 'the entry' | 'the block'): Uint8Array {
  const bytes = loadFixture(fixture);
  const { refcountTableAt, clusterBytes } = layoutOf(bytes);
  const entryAt = refcountTableAt + block * 8;
  const at = Number(u64(bytes, entryAt) & OFFSET_MASK);
  if (lost === 'the entry') putU64(bytes, entryAt, 0n);
  else bytes.fill(0, at, at + clusterBytes);
  return bytes;
}

// The one has L2 tables without entries, which may have been emptied; the other an extension that nobody knows.
const LOSSES = [
  ['vm-state-v2', 1, 'the entry'],
  ['vm-state-v2', 2, 'the entry'],
  ['vm-state-v2', 2, 'the block'],
  ['extension-unknown', 0, 'the block'],
] as const;

test.each(LOSSES)('%s, block %i: %s is lost, and any repair counts anew', async (...loss) => {
  const bytes = without(...loss);
  const contents = contentsOf(bytes);
  expect(checkPlain(bytes).corruptions).not.toEqual([]);
  for (const words of [['all'], ['leaks']]) {
    const device = memoryDevice(bytes.slice());
    const { plan, after } = await proposeRepair(device, () => parseRepairWords(words));
    await executePlan(device, plan!);
    expect(after.totals).toMatchObject({ corruptions: 0, checkErrors: 0 });
    expect(checkPlain(device.snapshotBytes()).corruptions).toEqual([]);
    expect(contentsOf(device.snapshotBytes())).toEqual(contents);
  }
});
