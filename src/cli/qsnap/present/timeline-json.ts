import type { Moment } from '../../../index.js';
import { utcTimeText } from '../../text.js';
import { errorJson } from '../report.js';
import { unreadJson } from '../unread.js';
import { anomalyText } from './anomaly-text.js';
import { snapshotNamesJson } from './snapshot-json.js';
import { isRead, type AllTimelines, type OfImage, type TimelineResult } from './timeline-rows.js';

/** docs/schema/timeline.json. */
export function timelineJson({ results, moments, anomalies }: AllTimelines): object {
  return {
    images: results.map(imageJson),
    moments: moments.map(momentJson),
    anomalies: anomalies.map((one) => ({
      filename: one.path,
      code: one.code,
      level: one.level,
      ...snapshotNamesJson(one.snapshot),
      ...(one.other !== undefined && { other: snapshotNamesJson(one.other) }),
      ...(one.offNanoseconds !== undefined && {
        'off-sec': Number(one.offNanoseconds / 1_000_000_000n),
        'off-nsec': Number(one.offNanoseconds % 1_000_000_000n),
      }),
      message: anomalyText(one),
    })),
  };
}

function imageJson(result: TimelineResult): object {
  if (!isRead(result)) return { filename: result.path, error: errorJson(result.error, 'read') };
  const { path, image, ancestryUnknown } = result;
  return {
    filename: path,
    snapshots: image.snapshots.length,
    ...(ancestryUnknown !== undefined && {
      'ancestry-unknown': errorJson(ancestryUnknown, 'read'),
    }),
    ...unreadJson(image),
  };
}

function momentJson({ path, kind, date, snapshot }: OfImage<Moment>): object {
  const raw = {
    filename: path,
    kind,
    date: utcTimeText(date),
    'date-sec': date.seconds,
    'date-nsec': date.nanoseconds,
  };
  if (snapshot === undefined) return raw;
  const clock = snapshot.vmClockNanoseconds;
  return {
    ...raw,
    ...snapshotNamesJson(snapshot),
    'vm-clock-sec': Number(clock / 1_000_000_000n),
    'vm-clock-nsec': Number(clock % 1_000_000_000n),
    'table-entry-offset': snapshot.at,
  };
}
