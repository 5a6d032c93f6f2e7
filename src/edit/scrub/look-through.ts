import { throwIfAborted } from '../../base/abort.js';
import type { BlockSource } from '../../io/device.js';
import { nonZeroIn, type NonZero } from '../../io/non-zero.js';
import { bytesOf, SCRUB_PARTS, type ScrubPart, type ScrubPlan } from './plan-scrub.js';

/** Bytes that are not zeros, in sectors of 512 bytes, by the place where they lie. */
export interface RemainingBytes {
  /** In free clusters before the last cluster that is in use. */
  readonly freeBytes: number;
  /** Behind the last cluster that is in use. */
  readonly tailBytes: number;
  /** In what the header, the snapshot table and the L1 tables leave of their last clusters. */
  readonly slackBytes: number;
}

/** How a plan's ranges are looked through. */
export interface MeasureScrubOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called with the bytes that were looked at so far, and in all. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Counts what a scrub would make zeros of. All ranges of the plan are read, holes left out.
 *
 * ```ts
 * const { freeBytes } = await measureScrub(await planScrub(await openImage(device)));
 * ```
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export function measureScrub(
  plan: ScrubPlan,
  looking: MeasureScrubOptions = {},
): Promise<RemainingBytes> {
  return lookThrough(plan, plan.source, looking, () => Promise.resolve());
}

/** Visits each batch with bytes that are not zeros. @returns how many there were before the visits. */
export async function lookThrough(
  plan: ScrubPlan,
  source: BlockSource,
  { signal, onProgress }: MeasureScrubOptions,
  visit: (part: ScrubPart, found: NonZero) => Promise<void>,
): Promise<RemainingBytes> {
  const totalBytes = SCRUB_PARTS.reduce((sum, part) => sum + bytesOf(plan[part]), 0);
  const bytes = { free: 0, tail: 0, slack: 0 };
  let before = 0;
  for (const part of SCRUB_PARTS) {
    for await (const found of nonZeroIn(source, plan[part])) {
      throwIfAborted(signal, 'the scrub');
      bytes[part] += bytesOf(found.sectors);
      if (found.sectors.length > 0) await visit(part, found);
      onProgress?.(before + found.doneBytes, totalBytes);
    }
    before += bytesOf(plan[part]);
    onProgress?.(before, totalBytes);
  }
  return { freeBytes: bytes.free, tailBytes: bytes.tail, slackBytes: bytes.slack };
}
