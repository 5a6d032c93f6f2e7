/** What `check -r all` says it repaired, against QEMU, for the damages that QEMU's own tests make. */
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { patientOf } from '../support/damage.js';
import { oneIn } from '../support/left-out.js';
import { memoryDirectory } from '../support/directories.js';
import { loadFixture } from '../support/fixture.js';
import { describeWithQemu } from '../support/qemu.js';
import { SUITE_DAMAGES } from '../support/suite-damages.js';
import { type Outcome, ourOutcome, qemuOutcome } from './parity.js';

/**
 * Where the two do not mend alike (`repair-own-way`): QEMU frees what a lost table may have referred to, gives up, leaves a
 * fault behind, or makes room in place; or qsnap leaves it to a decision.
 */
const DIFFERENT: ReadonlySet<string> = new Set([
  'an L1 entry names the L1 table',
  'an L1 entry names a refcount block',
  'data in a refcount block',
  'data in the refcount table',
  'data in the active L1',
  'data in an active L2 table',
  "data in a snapshot's L2 table",
  "data in a snapshot's L1 table",
  'data in the snapshot table',
  'a refcount block off its cluster',
  'a refcount block off its cluster, and bits that mean nothing',
  'a refcount block at the end of the file',
  'a refcount block at the highest positive offset',
  'a refcount block at the highest offset',
  'an L1 entry off its cluster',
  'an L1 entry past the end',
  "a snapshot's L1 entry off its cluster",
  'reserved bits of an L1 entry',
  'a zero cluster whose room is off its cluster',
  'a zero cluster whose room is off its cluster in the header',
  'an L2 entry past the end',
  'an L2 entry past all that can be counted',
  'an L2 entry at the last offset',
  'an active L1 over the header',
  'more snapshots claimed than anyone reads',
  'a deletion that ended before anything was freed',
  'a snapshot L1 off its cluster',
  'a snapshot L1 past the end',
  'a snapshot L1 at the last offset',
  'a snapshot L1 of more entries than anyone takes',
  'too much extra data',
  'a snapshot table off its cluster',
]);

/** Clusters that QEMU frees when it rebuilds are those of its own old structures, and where the image ends depends on them. */
function words({ code, stdout, stderr }: Outcome): unknown {
  return {
    code,
    stdout: stdout.replace(/Image end offset: .*\n/, ''),
    stderr: stderr.replace(/(Rebuilding .*\n)(?:Repairing cluster .*\n)+/, '$1'),
  };
}

describeWithQemu('what a repair says', () => {
  const directory = memoryDirectory();
  const [theirs, ours] = [join(directory, 'theirs'), join(directory, 'ours')];
  const sound = loadFixture('version-3');

  for (const [name, damage] of oneIn(3, Object.entries(SUITE_DAMAGES))) {
    const made = damage.make(patientOf(sound));
    if (made === undefined) continue;
    test(name, async () => {
      writeFileSync(theirs, made);
      copyFileSync(theirs, ours);
      const repair = async (file: string, run: typeof ourOutcome): Promise<unknown> =>
        words(await run(['check', '-r', 'all', file], directory));
      const pair = [await repair('theirs', qemuOutcome), await repair('ours', ourOutcome)];
      if (DIFFERENT.has(name)) expect(pair[1]).not.toEqual(pair[0]);
      else expect(pair[1]).toEqual(pair[0]);
    });
  }
});
