import type { SnapshotDate } from '../../../index.js';
import { hexOfBytes, printable, printableText } from '../../../internal.js';
import { utcTimeText } from '../../text.js';
import { anomalyText } from './anomaly-text.js';
import { DFXML_END, dfxmlBegin, element, fileObject } from './dfxml.js';
import { isRead, objectName, type AllTimelines, type ImageTimeline } from './timeline-rows.js';

/** DFXML with a file object for each image and each snapshot, whose time of making is its date. */
export function timelineDfxml({ results }: AllTimelines, version: string): string {
  const objects = results.filter(isRead).flatMap(objectsOf);
  return `${dfxmlBegin('qcow2 snapshot timeline', version)}${objects.join('')}${DFXML_END}`;
}

function objectsOf({ path, image, hostDates, anomalies }: ImageTimeline): string[] {
  const time = (name: string, date: SnapshotDate | undefined): string =>
    element(name, date && utcTimeText(date));
  const odd = new Map<number, string[]>();
  for (const one of anomalies) {
    const text = element('qsnap:anomaly', anomalyText(one), { code: one.code, level: one.level });
    odd.set(one.snapshot.index, [...(odd.get(one.snapshot.index) ?? []), text]);
  }
  return [
    fileObject([
      element('filename', objectName(path, undefined)),
      element('filesize', image.fileSizeBytes),
      time('mtime', hostDates.modified),
      time('ctime', hostDates.changed),
      time('crtime', hostDates.born),
    ]),
    ...image.snapshots.map((snapshot) =>
      fileObject([
        element('filename', objectName(path, snapshot)),
        element('filesize', snapshot.diskSizeBytes),
        time('crtime', snapshot.date),
        element('qsnap:image', printableText(path)),
        element('qsnap:index', snapshot.index),
        element('qsnap:id', printable(snapshot.idBytes), { hex: hexOfBytes(snapshot.idBytes) }),
        element('qsnap:name', printable(snapshot.nameBytes), {
          hex: hexOfBytes(snapshot.nameBytes),
        }),
        element('qsnap:date_sec', snapshot.date.seconds),
        element('qsnap:date_nsec', snapshot.date.nanoseconds),
        element('qsnap:vm_clock_nsec', snapshot.vmClockNanoseconds),
        element('qsnap:table_entry_offset', snapshot.at),
        ...(odd.get(snapshot.index) ?? []),
      ]),
    ),
  ];
}
