/** Differences of any two disks of all fixtures: those that plain loops over every cluster find. */
import { expect, test } from 'vitest';
import { diffDisks, isQsnapError, memoryDevice, openForReading } from '../../src/index.js';
import { checkImage } from '../support/image-builder-check.js';
import { fixtureNames, loadFixture } from '../support/fixture.js';
import { leaveOut } from '../support/left-out.js';
import { plainDiff } from '../support/plain-diff.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';

const seed = seedOf();
/** Pairs of disks of each fixture. */
const pairs = roundsOf(6);

console.log(`QSNAP_SEED=${seed} QSNAP_ROUNDS=${pairs}`);

for (const [i, name] of fixtureNames().entries()) {
  test(name, async () => {
    const bytes = loadFixture(name);
    const image = await openForReading(memoryDevice(bytes)).catch((error: unknown) => {
      if (!isQsnapError(error)) throw error;
    });
    if (image === undefined) {
      leaveOut('fixtures that can not be opened');
      return;
    }
    const random = randomFrom(seed + i);
    const disks = [undefined, ...image.snapshots];
    const all = disks.flatMap((a) => disks.map((b) => [a, b] as const));
    const chosen =
      all.length <= pairs ? all : Array.from({ length: pairs }, () => random.pick(all));
    const hasBacking = image.backingNameBytes !== undefined;
    for (const [a, b] of chosen) {
      const title = `${a?.id ?? 'active'} to ${b?.id ?? 'active'}`;
      const expected = plainDiff(bytes, a?.index, b?.index, hasBacking);
      if (expected === undefined) {
        leaveOut('disks of more clusters than plain loops have time for');
        continue;
      }
      const found = [];
      try {
        for await (const ranges of diffDisks(image, a, b)) found.push(...ranges);
      } catch (error) {
        // What differs and can't be right is refused, after all that comes before it.
        expect(isQsnapError(error) && error.kind, `${title}: ${String(error)}`).toBe('image');
        expect(checkImage(bytes).corruptions, title).not.toEqual([]);
        leaveOut('disks whose differences lie in damaged tables');
        expect(expected.slice(0, found.length), title).toEqual(found);
        continue;
      }
      expect(found, title).toEqual(expected);
    }
  });
}
