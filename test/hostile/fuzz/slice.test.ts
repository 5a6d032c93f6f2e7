/** A slice of the fuzzer in every run of the suite: as many inputs, from the same seed, each time. */
import { expect, test } from 'vitest';
import { Campaign } from './campaign.js';

const SEED = Number(process.env['QSNAP_SEED'] ?? 4);
/** Beyond the seeds themselves. `npm run fuzz` goes on for as long as it is told to. */
const MUTANTS = Number(process.env['QSNAP_MUTANTS'] ?? 30);
/** Small ones, so that the slice stays short. */
const LARGEST_SEED_BYTES = 100_000;

test('no input of a slice of the fuzzer does harm', { timeout: 600_000 }, async () => {
  const campaign = new Campaign({
    seed: SEED,
    largestSeedBytes: LARGEST_SEED_BYTES,
    withTraps: false,
  });
  const seeds = await campaign.plant();
  for (let i = 0; i < MUTANTS; i++) await campaign.step();
  campaign.close();
  const { inputs, uses, opened, blocksCovered, blocksKnown, corpus } = campaign.figures();
  console.log(
    `seed ${SEED}: ${seeds} seeds, ${inputs} inputs, ${uses} uses, ${opened} opened, ` +
      `${blocksCovered} of ${blocksKnown} blocks, corpus ${corpus}, ` +
      `${campaign.failures.length} failures`,
  );
  const told = campaign.failures.map(({ story, faults }) => `${story}: ${faults.join('; ')}`);
  expect(told).toEqual([]);
  // A mutator that only ever makes what nobody opens, or that reaches nothing new, proves little.
  expect(opened).toBeGreaterThan(inputs / 4);
  expect(corpus).toBeGreaterThan(seeds / 4);
  expect(blocksCovered).toBeGreaterThan(1000);
});
