/** What a campaign starts from: every fixture, and an image for each trap. */
import { fixtureNames, loadFixture } from '../../support/fixture.js';
import { specimenOf, type Specimen } from './specimen.js';
import { TRAPS } from './traps.js';

export interface Seed {
  readonly name: string;
  readonly specimen: Specimen;
}

/** One after the other, so that the large ones need not all be in memory at once. */
export function* seedCorpus(largestBytes: number): Generator<Seed> {
  const fixtures = fixtureNames().map((name) => ({
    name,
    make: () => specimenOf(loadFixture(name)),
  }));
  for (const seed of [...fixtures, ...TRAPS]) {
    const specimen = seed.make();
    if (specimen.bytes.length <= largestBytes) yield { name: seed.name, specimen };
  }
}
