/** The process in which a campaign runs: it reports to the one that watches it. */
import { writeFileSync } from 'node:fs';
import { Campaign, type Failure, type Figures } from './campaign.js';
import { writeSpecimen } from './faces.js';
import { watchTypedArrays } from './meter.js';

/** What the watching process gives. */
export interface Orders {
  readonly seed: number;
  readonly seconds: number;
  /** Where the specimen that is being tried is kept, for the case that nothing comes back. */
  readonly currentPath: string;
}

/** What the campaign's process tells. */
export interface Report {
  readonly figures: Figures;
  readonly failures: readonly Failure[];
  readonly isLast: boolean;
}

const REPORT_EVERY_MS = 2_000;

async function work({ seed, seconds, currentPath }: Orders): Promise<void> {
  watchTypedArrays();
  const end = Date.now() + seconds * 1000;
  const campaign = new Campaign({
    seed,
    onInput: (specimen, story) => {
      writeSpecimen(currentPath, specimen);
      writeFileSync(`${currentPath}.txt`, story);
    },
  });
  let told = 0;
  const report = (isLast: boolean): void => {
    const failures = campaign.failures.splice(0);
    process.send!({ figures: campaign.figures(), failures, isLast } satisfies Report);
    told = Date.now();
  };
  report(false);
  while (Date.now() < end) {
    await campaign.step();
    if (Date.now() - told > REPORT_EVERY_MS || campaign.failures.length > 0) report(false);
  }
  campaign.close();
  report(true);
  process.disconnect();
}

process.once('message', (orders) => {
  void work(orders as Orders);
});
