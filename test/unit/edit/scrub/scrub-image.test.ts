/**
 * Scrubs of all fixtures, judged by a plain reader that shares no code with the engine: nothing is left of what was
 * planted where nothing refers to, all other bytes are as they were, and a second scrub finds nothing to do.
 */
import { describe, expect, test } from 'vitest';
import { findRemains } from '../../../../src/audit/remains.js';
import { planDelete } from '../../../../src/edit/snapshot/delete.js';
import { measureScrub } from '../../../../src/edit/scrub/look-through.js';
import { planScrub } from '../../../../src/edit/scrub/plan-scrub.js';
import { scrubImage } from '../../../../src/edit/scrub/scrub-image.js';
import { executePlan } from '../../../../src/edit/tx/execute.js';
import { openImage } from '../../../../src/image/open.js';
import type { ByteRange } from '../../../../src/io/device.js';
import { memoryDevice, type MemoryDevice } from '../../../../src/io/memory.js';
import { checkPlain, contentsOf } from '../../../support/crash-judge.js';
import { fixtureNames, loadFixture } from '../../../support/fixture.js';
import { leaveOut, oneIn } from '../../../support/left-out.js';
import { recordingDevice } from '../../../support/recording-device.js';
import {
  scrubbedPlainly,
  SECRET,
  unreferencedIn,
  withSecrets,
} from '../../../support/unreferenced.js';

/** Images that no edit may touch. */
const REFUSED = [
  ...['corrupt', 'data-file', 'data-file-raw', 'dirty', 'lazy-refcounts-dirty'],
  ...['feature-incompatible-named', 'feature-incompatible-unknown', 'qcow-version-1'],
  ...['l2-past-end', 'l2-unaligned', 'refcount-too-low', 'refcount-zero'],
];
const FIXTURES = fixtureNames().filter((name) => !REFUSED.includes(name));

/** The fixture without its first snapshot, and with a secret wherever nothing refers to. */
async function plantedIn(fixture: string, growable = true): Promise<MemoryDevice> {
  const device = memoryDevice(loadFixture(fixture));
  const image = await openImage(device);
  await executePlan(await planDelete(image, image.snapshots.slice(0, 1)));
  return memoryDevice(withSecrets(device.snapshotBytes()), 'planted', { growable });
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const has = (bytes: Uint8Array, text: string): boolean => Buffer.from(bytes).includes(text);

/** A byte for each of the file: 1 in the ranges. */
function marked(file: Uint8Array, ranges: readonly ByteRange[]): Uint8Array {
  const marks = new Uint8Array(file.length);
  for (const { at, length } of ranges) marks.fill(1, at, at + length);
  return marks;
}
const right = (file: Uint8Array): Uint8Array => marked(file, unreferencedIn(file));

const LARGE_BYTES = 4 * 2 ** 20;
const isLong = process.env['QSNAP_ROUNDS'] !== undefined;

/** Whether free clusters are punched. */
function waysFor(fixture: string): readonly boolean[] {
  if (isLong || loadFixture(fixture).length < LARGE_BYTES) return [false, true];
  leaveOut('scrubs of large files without holes: QSNAP_ROUNDS=1 has them');
  return [true];
}

describe.each(oneIn(3, FIXTURES))('%s', (fixture) => {
  test.each(waysFor(fixture))(
    'no secret is left, and all else is as it was; punch: %s',
    async (punch) => {
      const device = await plantedIn(fixture, !punch);
      const before = device.snapshotBytes();
      expect(has(before, SECRET)).toBe(true);
      const { leaks } = checkPlain(before);
      const plan = await planScrub(await openImage(device));
      expect(same(marked(before, [...plan.free, ...plan.tail, ...plan.slack]), right(before))).toBe(
        true,
      );
      const told = await measureScrub(plan);
      const report = await scrubImage(device, { punch, verify: punch });
      const after = device.snapshotBytes();
      expect(same(after, scrubbedPlainly(before))).toBe(true);
      expect(has(after, SECRET)).toBe(false);
      expect(contentsOf(after)).toEqual(contentsOf(before));
      expect(checkPlain(after)).toEqual({ corruptions: [], leaks });
      // Every sector of what nothing refers to held a part of a secret.
      const { freeBytes, tailBytes, slackBytes } = plan.facts;
      expect(report).toMatchObject({ freeBytes, tailBytes, slackBytes, facts: plan.facts });
      expect(told).toEqual({ freeBytes, tailBytes, slackBytes });
      expect(report.punchedBytes > 0).toBe(punch);
      if (leaks.size > 0) return;
      expect((await findRemains(await openImage(device))).remains).toEqual([]);
    },
  );

  test('a second scrub writes nothing but the header as it is', async () => {
    const first = await plantedIn(fixture);
    await scrubImage(first);
    const before = first.snapshotBytes();
    const device = recordingDevice(before);
    const report = await scrubImage(device, { punch: true });
    expect(report).toMatchObject({ freeBytes: 0, tailBytes: 0, slackBytes: 0, punchedBytes: 0 });
    const writes = device.log.filter(({ kind }) => kind !== 'read' && kind !== 'flush');
    expect(writes).toEqual([{ kind: 'write', at: 24, bytes: before.slice(24, 96) }]);
    expect(same(device.snapshotBytes(), before)).toBe(true);
  });
});

test.each(REFUSED)('%s is refused before anything is written', async (fixture) => {
  const device = memoryDevice(loadFixture(fixture));
  await expect(scrubImage(device)).rejects.toThrow();
  expect(same(device.snapshotBytes(), loadFixture(fixture))).toBe(true);
});
