/** What disks hold together foretells every delete: the sum over the sets that are among those that go. */
import { expect, test } from 'vitest';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { heldTogether } from '../../../../src/read/sharing/held-together.js';
import { freedByDeleting, measureUsage } from '../../../../src/read/sharing/usage.js';
import { loadFixture } from '../../../support/fixture.js';
import { randomFrom, seedOf } from '../../../support/model-random.js';
import { plainFixtures } from '../../../support/plain-owners.js';

const DAMAGED = ['l2-past-end', 'l2-unaligned'];
const NAMES = plainFixtures().filter((name) => !DAMAGED.includes(name));
const SETS = 6;

test(`any set of snapshots of every fixture, seed ${seedOf()}`, async () => {
  const random = randomFrom(seedOf());
  for (const name of NAMES) {
    const image = await openImage(memoryDevice(loadFixture(name)));
    const usage = await measureUsage(image);
    const held = [...heldTogether(usage)];
    for (let i = 0; i < SETS; i++) {
      const gone = image.snapshots.filter(() => random.chance(0.5));
      const numbers = new Set(gone.map(({ index }) => index + 1));
      const freed = held
        .filter(({ disks }) => disks.every((run) => isWithin(run, numbers)))
        .reduce((sum, { bytes }) => sum + bytes, 0);
      const { freedBytes } = freedByDeleting(usage, gone);
      const rest = freedBytes - freed;
      // What is left is what the snapshot table no longer needs.
      expect(rest % image.geometry.clusterBytes, name).toBe(0);
      expect(rest, name).toBeGreaterThanOrEqual(0);
      expect(rest, name).toBeLessThanOrEqual(
        image.snapshotTableBytes + image.geometry.clusterBytes,
      );
    }
  }
});

function isWithin([first, last]: readonly [number, number], numbers: ReadonlySet<number>): boolean {
  for (let number = first; number <= last; number++) if (!numbers.has(number)) return false;
  return true;
}
