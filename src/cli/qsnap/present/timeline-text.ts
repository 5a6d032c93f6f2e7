import type { MomentKind } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { tableLines, type Column } from '../../columns.js';
import type { Style } from '../../style.js';
import { hexText, utcTimeText } from '../../text.js';
import { anomalyText } from './anomaly-text.js';
import { snapshotLabel, type AllTimelines } from './timeline-rows.js';

const COLUMNS: readonly Column[] = [
  { title: 'DATE (UTC)', align: 'left' },
  { title: 'IMAGE', align: 'left', widthMax: 40 },
  { title: 'WHAT', align: 'left', widthMax: 60 },
  { title: 'DATE-SEC', align: 'right' },
  { title: 'DATE-NSEC', align: 'right' },
  { title: 'VM-CLOCK-NSEC', align: 'right' },
  { title: 'ENTRY', align: 'right' },
];

const WHAT: Record<Exclude<MomentKind, 'snapshot'>, string> = {
  'file-born': 'the file was made',
  'file-modified': 'last write to the file',
  'file-changed': 'last change of the file or its attributes',
};

/** The dates in a table, and what is odd about them. */
export function timelineLines(
  { moments, anomalies }: AllTimelines,
  style: Style,
): readonly string[] {
  const rows = moments.map(({ path, kind, date, snapshot }) => [
    utcTimeText(date),
    printableText(path),
    snapshot === undefined || kind !== 'snapshot'
      ? WHAT[kind as keyof typeof WHAT]
      : `snapshot ${snapshotLabel(snapshot)}`,
    String(date.seconds),
    String(date.nanoseconds),
    snapshot === undefined ? '' : String(snapshot.vmClockNanoseconds),
    snapshot === undefined ? '' : hexText(snapshot.at),
  ]);
  const odd = anomalies.map((one) => {
    const label = one.level === 'warning' ? style.warning(one.level) : one.level.padEnd(7);
    const where = `${printableText(one.path)}: snapshot ${snapshotLabel(one.snapshot)}`;
    return `${label} ${one.code} ${where}: ${anomalyText(one)}`;
  });
  return [...(rows.length === 0 ? [] : tableLines(COLUMNS, rows)), ...odd];
}
