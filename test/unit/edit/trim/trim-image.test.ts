/**
 * Trims of all fixtures, judged by a plain reader that shares no code with the engine: what is free goes back, the file
 * never gets longer, all disks hold what they held, and a second trim finds nothing left to do.
 */
import { describe, expect, test } from 'vitest';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice, type MemoryDevice } from '../../../../src/io/memory.js';
import { planDelete } from '../../../../src/edit/snapshot/delete.js';
import { planTrim } from '../../../../src/edit/trim/plan-trim.js';
import { trimImage } from '../../../../src/edit/trim/trim-image.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { checkPlain, contentsOf } from '../../../support/crash-judge.js';
import { fixtureNames, loadFixture } from '../../../support/fixture.js';
import { leaveOut, oneInWithEach } from '../../../support/left-out.js';

/** Images that no edit may touch, or whose data can't move. */
const REFUSED = [
  ...['corrupt', 'data-file', 'data-file-raw', 'dirty', 'lazy-refcounts-dirty', 'luks'],
  ...['feature-incompatible-named', 'feature-incompatible-unknown', 'qcow-version-1'],
  ...['l2-past-end', 'l2-unaligned', 'refcount-too-low', 'refcount-zero'],
];
const FIXTURES = fixtureNames().filter((name) => !REFUSED.includes(name));

const LARGE_BYTES = 4 * 2 ** 20;
const isLong = process.env['QSNAP_ROUNDS'] !== undefined;

/** The fixture without its first snapshots: that makes free clusters. */
async function deviceOf(fixture: string, dropped: number): Promise<MemoryDevice> {
  const device = memoryDevice(loadFixture(fixture));
  const image = await openImage(device);
  await executePlan(await planDelete(image, image.snapshots.slice(0, dropped)));
  return device;
}

/** Snapshots that are dropped before, and bytes that a step moves. */
function stepsFor(fixture: string): readonly (readonly [number, number])[] {
  const all = [[0, 1] as const, [1, 40_000] as const, [2, 2 ** 30] as const];
  if (isLong || loadFixture(fixture).length < LARGE_BYTES) return all;
  leaveOut('steps of other sizes in large files: QSNAP_ROUNDS=1 has them');
  return all.slice(2);
}

/** What has clusters that stay where they are is never left out. */
const withImmovable = (fixture: string): readonly string[] =>
  ['bitmaps', 'bitmaps-snapshots', 'luks'].filter((name) => name === fixture);

describe.each(oneInWithEach(3, FIXTURES, withImmovable))('%s', (fixture) => {
  test('a trim changes nothing that the image says, and leaves no free byte that is not zero', async () => {
    const device = await deviceOf(fixture, 0);
    const before = device.snapshotBytes();
    const { punch, endBytes, facts } = await planTrim(await openImage(device));
    const report = await trimImage(device);
    const bytes = device.snapshotBytes();
    expect(bytes.length).toBe(endBytes);
    expect(report).toMatchObject({ movedBytes: 0, steps: 0, fileSizeBytes: endBytes });
    expect(facts.tailBytes).toBe(before.length - endBytes);
    for (const { at, length } of punch) {
      expect(bytes.subarray(at, at + length).every((byte) => byte === 0)).toBe(true);
      before.fill(0, at, at + length);
    }
    expect(Buffer.compare(bytes, before.subarray(0, endBytes))).toBe(0);
  });

  test.each(stepsFor(fixture))(
    '%i snapshots less, steps of %i bytes: the file gets short',
    async (dropped, stepBytes) => {
      const device = await deviceOf(fixture, dropped);
      const before = device.snapshotBytes();
      const { leaks } = checkPlain(before);
      const report = await trimImage(device, { relocate: true, stepBytes, verify: dropped === 1 });
      const after = device.snapshotBytes();
      expect(contentsOf(after)).toEqual(contentsOf(before));
      // A leak is where it was: nobody knows what it is.
      expect(checkPlain(after)).toEqual({ corruptions: [], leaks });
      expect(report.fileSizeBytes).toBeLessThanOrEqual(before.length);
      expect(report.fileSizeBytes).toBe(after.length);
      const { facts } = await planTrim(await openImage(device));
      expect(facts.tailBytes).toBe(0);
      const again = await trimImage(device, { relocate: true, stepBytes });
      expect(again.steps).toBe(0);
      expect(Buffer.compare(device.snapshotBytes(), after)).toBe(0);
    },
  );
});

test.each(REFUSED)('%s is refused before anything is written', async (fixture) => {
  const device = memoryDevice(loadFixture(fixture));
  await expect(trimImage(device, { relocate: true })).rejects.toThrow();
  expect(Buffer.compare(device.snapshotBytes(), loadFixture(fixture))).toBe(0);
});
