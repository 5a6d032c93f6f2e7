import { isQsnapError, type QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import type { Stoppable } from '../../io/stoppable.js';
import { inferAncestry, type Descent } from '../sharing/ancestry.js';
import { measureUsage } from '../sharing/usage.js';
import type { Anomaly } from './anomaly.js';
import { judgeDescents, judgeEntries } from './judge-dates.js';
import { momentsOf, type HostDates, type Moment } from './moments.js';

/** What is known of an image besides its bytes. */
export interface TimelineOptions extends Stoppable {
  /** Dates of the file; without them only the snapshots have dates. */
  readonly hostDates?: HostDates | undefined;
  /** How much of the tables is read, from 0 to 1. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** The dates of an image and what is odd about them. */
export interface Timeline {
  /** In the order of time. */
  readonly moments: readonly Moment[];
  /** In the order of the snapshot table. */
  readonly anomalies: readonly Anomaly[];
  /** Why dates and clocks were not compared along the ancestry; undefined where they were. */
  readonly ancestryUnknown: QsnapError | undefined;
}

/**
 * Reads all dates that an image has, and says what is odd about them: dates that run backwards against ids or against
 * the ancestry of the snapshots (`inferAncestry`), clocks of guests that ran faster than time, ids and names that
 * repeat. A damaged image is read as far as it goes.
 *
 * ```ts
 * const { moments, anomalies } = await readTimeline(await openForReading(device));
 * for (const { kind, date, snapshot } of moments) console.log(date.seconds, kind, snapshot?.name);
 * for (const { code, snapshot } of anomalies) console.log(code, snapshot.id);
 * ```
 *
 * @throws QsnapError IMAGE_CHANGED, READ_FAILED, LIMIT_EXCEEDED, ABORTED.
 * Ours: which snapshot grew from which is inferred; where it can't be told for sure, clocks are not compared.
 */
export async function readTimeline(
  image: OpenImage,
  options: TimelineOptions = {},
): Promise<Timeline> {
  const { snapshots } = image;
  const host = options.hostDates ?? {};
  const { descents, unknown } = await descentsOf(image, options);
  const found = [...judgeEntries(snapshots, host.modified), ...judgeDescents(descents)];
  return {
    moments: momentsOf(snapshots, host),
    anomalies: found.sort((a, b) => a.snapshot.index - b.snapshot.index),
    ancestryUnknown: unknown,
  };
}

/** What each snapshot grew from, and why that is not known of a damaged image. */
async function descentsOf(
  image: OpenImage,
  { signal, onProgress }: TimelineOptions,
): Promise<{ readonly descents: readonly Descent[]; readonly unknown: QsnapError | undefined }> {
  const unread = image.unread?.find(({ structure }) => structure !== 'bitmap directory');
  if (unread !== undefined) return { descents: [], unknown: unread.reason };
  if (image.snapshots.length < 2) return { descents: [], unknown: undefined };
  try {
    const usage = await measureUsage(image, { signal, onProgress });
    return { descents: (await inferAncestry(usage, { signal })).snapshots, unknown: undefined };
  } catch (error) {
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    return { descents: [], unknown: error };
  }
}
