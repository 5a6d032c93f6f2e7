import type { OpenImage } from '../../image/image.js';
import type { BlockSource, ByteRange } from '../../io/device.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import { audit } from '../plan/audit.js';
import { clustersToCover } from '../plan/clusters-to-cover.js';
import { refuseUncountable, refuseUnfit } from '../plan/refuse.js';
import { freeRanges } from '../trim/free-ranges.js';
import { surveyUnchanged } from '../trim/unchanged.js';
import { lastUsed } from '../trim/used-end.js';
import { bound, type Bound } from '../tx/plan.js';
import { slackOf } from './slack.js';

/** What nothing refers to of the parts that are scrubbed, in bytes; much of it may be zeros already. */
export interface ScrubFacts {
  /** In free clusters before the last cluster that is in use. */
  readonly freeBytes: number;
  /** Behind the last cluster that is in use. */
  readonly tailBytes: number;
  /** What the header, the snapshot table and the L1 tables leave of their last clusters. */
  readonly slackBytes: number;
  /**
   * Clusters that count as used and that nothing refers to. A scrub leaves them alone: a table that led there may be
   * lost, and a repair may find it.
   */
  readonly leakedClusters: number;
}

/** The parts of a plan, in the order in which they are scrubbed. */
export const SCRUB_PARTS = ['slack', 'free', 'tail'] as const;
/** A part of what nothing refers to. */
export type ScrubPart = (typeof SCRUB_PARTS)[number];

/** How a scrub is planned. */
export interface PlanScrubOptions extends Stoppable {
  /** What is scrubbed; without it all parts are. */
  readonly parts?: readonly ScrubPart[] | undefined;
}

/** What a scrub makes zeros of, as data: ranges that do not overlap, and that nothing refers to. */
export interface ScrubPlan<Source extends BlockSource = BlockSource> extends Bound<Source> {
  readonly operation: 'scrub';
  /** The header sector that the plan was made from; execution refuses when it has changed. */
  readonly headerSector: Uint8Array;
  /** The size that the file had then; execution refuses when it has another one. */
  readonly fileSizeBytes: number;
  /** Free clusters before the last cluster that is in use. */
  readonly free: readonly ByteRange[];
  /** What lies behind that cluster: one range or none. */
  readonly tail: readonly ByteRange[];
  /** Parts of clusters that hold the header, the snapshot table or an L1 table. */
  readonly slack: readonly ByteRange[];
  readonly facts: ScrubFacts;
}

/**
 * Plans to make zeros of all that nothing in the image refers to. Tables, refcounts and data are audited first, so that
 * no byte counts as free that something refers to.
 *
 * ```ts
 * const plan = await planScrub(await openImage(device));
 * await executeScrub(plan);
 * ```
 *
 * @throws QsnapError what `planCreate` throws of the image.
 */
export async function planScrub<Source extends BlockSource>(
  image: OpenImage<Source>,
  { signal, parts = SCRUB_PARTS }: PlanScrubOptions = {},
): Promise<ScrubPlan<Source>> {
  refuseUnfit(image);
  const edit = await surveyUnchanged(stoppableImage(image, signal, 'the planning'));
  const clusters = clustersToCover(edit);
  refuseUncountable(clusters, image);
  const audited = await audit(edit, clusters);
  const { headerSector, fileSizeBytes, geometry } = image;
  const { clusterBytes } = geometry;
  const end = lastUsed(audited.counts, edit.format.fileClusters) + 1;
  const endBytes = Math.min(end * clusterBytes, fileSizeBytes);
  const of = (part: ScrubPart, ranges: readonly ByteRange[]): readonly ByteRange[] =>
    parts.includes(part) ? ranges.filter(({ length }) => length > 0) : [];
  const free = of('free', freeRanges(audited.free, end, clusterBytes));
  const tail = of('tail', [{ at: endBytes, length: fileSizeBytes - endBytes }]);
  const slack = of('slack', slackOf(audited));
  return bound(
    {
      ...{ operation: 'scrub' as const, headerSector, fileSizeBytes },
      ...{ free, tail, slack },
      facts: {
        freeBytes: bytesOf(free),
        tailBytes: bytesOf(tail),
        slackBytes: bytesOf(slack),
        leakedClusters: audited.leakedClusters,
      },
    },
    image,
  );
}

/** How many bytes lie in ranges. */
export function bytesOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}
