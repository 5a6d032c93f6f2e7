import {
  type Anomaly,
  type HostDates,
  type Moment,
  type QsnapError,
  type ReadableImage,
  type Snapshot,
  type Timeline,
} from '../../../index.js';
import { printable, printableText } from '../../../internal.js';

/** The timeline of one of the images. */
export interface ImageTimeline extends Timeline {
  readonly path: string;
  readonly image: ReadableImage;
  readonly hostDates: HostDates;
}

/** An image of which nothing could be read. */
export interface FailedTimeline {
  readonly path: string;
  readonly error: QsnapError;
}

export type TimelineResult = ImageTimeline | FailedTimeline;

export const isRead = (result: TimelineResult): result is ImageTimeline => 'moments' in result;

/** Something of one of many images. */
export type OfImage<T> = T & { readonly path: string };

/** What is told of all images together. */
export interface AllTimelines {
  readonly results: readonly TimelineResult[];
  /** In the order of time; those at one moment in the order of the images. */
  readonly moments: readonly OfImage<Moment>[];
  readonly anomalies: readonly OfImage<Anomaly>[];
}

/** How a snapshot is called where one word has to do. */
export function snapshotLabel({ idBytes, nameBytes }: Snapshot): string {
  return `${printable(idBytes)} "${printable(nameBytes)}"`;
}

/** What a file of a list of dates is called: the image, or one of its snapshots. */
export function objectName(path: string, snapshot: Snapshot | undefined): string {
  const file = printableText(path);
  return snapshot === undefined ? file : `${file} (snapshot ${snapshotLabel(snapshot)})`;
}
