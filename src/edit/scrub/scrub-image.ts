import { openImage } from '../../image/open.js';
import type { BlockDevice } from '../../io/device.js';
import { noWorseThan } from '../../read/check/refuse-unsound.js';
import { inState } from '../tx/execute.js';
import { executeScrub, type ExecuteScrubOptions, type ScrubbedBytes } from './execute-scrub.js';
import { planScrub, type ScrubFacts } from './plan-scrub.js';

/** What a caller may ask of a scrub. */
export interface ScrubOptions extends ExecuteScrubOptions {
  /** Check the image before and after: it may have no flaw more. That the zeros are there is read back anyway. */
  readonly verify?: boolean | undefined;
}

/** What a scrub did, and what there was to look at. */
export interface ScrubReport extends ScrubbedBytes {
  readonly facts: ScrubFacts;
}

/**
 * Makes zeros of every byte of an image's file that nothing refers to: free clusters, what lies behind the last cluster
 * in use, and what the header, the snapshot table and the L1 tables leave of their last clusters. Leaked clusters stay.
 *
 * ```ts
 * const { freeBytes, tailBytes, slackBytes, facts } = await scrubImage(device);
 * console.log(freeBytes + tailBytes + slackBytes, facts.leakedClusters);
 * ```
 *
 * @throws QsnapError what `planScrub` and `executeScrub` throw.
 */
export async function scrubImage(
  device: BlockDevice,
  options: ScrubOptions = {},
): Promise<ScrubReport> {
  const { verify, ...execution } = options;
  const { signal } = options;
  const sizeBytes = await device.sizeBytes();
  const verified = verify === true ? await noWorseThan(device, sizeBytes, { signal }) : undefined;
  const plan = await planScrub(await openImage(device), { signal });
  const scrubbed = await executeScrub(plan, execution);
  await inState('old', () => verified?.(device));
  return { ...scrubbed, facts: plan.facts };
}
