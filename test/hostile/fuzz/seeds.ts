/** What a campaign starts from: every fixture, two short VM states, and an image for each trap. */
import { fixtureNames, loadFixture } from '../../support/fixture.js';
import { specimenOf, type Specimen } from './specimen.js';
import { TRAPS } from './traps.js';
import { SOUND_VM_STATES } from './traps-vm.js';

export interface Seed {
  readonly name: string;
  readonly specimen: Specimen;
}

/** One after the other, so that the large ones need not all be in memory at once. */
export function* seedCorpus(largestBytes: number, withTraps: boolean): Generator<Seed> {
  const fixtures = fixtureNames().map((name) => ({
    name,
    make: () => specimenOf(loadFixture(name)),
  }));
  for (const { name, make } of [...fixtures, ...(withTraps ? TRAPS : SOUND_VM_STATES)]) {
    const specimen = make();
    if (specimen.bytes.length <= largestBytes) yield { name, specimen };
  }
}
