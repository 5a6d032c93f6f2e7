import { printable, printableText } from '../../../internal.js';
import { utcTimeText } from '../../text.js';
import { isRead, type AllTimelines } from './timeline-rows.js';

const TITLES = [
  ...['date', 'image', 'kind', 'id', 'name', 'date_sec', 'date_nsec', 'vm_clock_nsec'],
  ...['entry_offset', 'anomalies'],
];

/** The dates as CSV with a line of titles: RFC 4180, and each cell of names a printable line. */
export function timelineCsv({ results, moments }: AllTimelines): string {
  const codes = new Map(
    results.filter(isRead).map(({ path, anomalies }) => {
      const bySnapshot = new Map<number, string>();
      for (const { snapshot, code } of anomalies) {
        const before = bySnapshot.get(snapshot.index);
        bySnapshot.set(snapshot.index, before === undefined ? code : `${before} ${code}`);
      }
      return [path, bySnapshot] as const;
    }),
  );
  const rows = moments.map(({ path, kind, date, snapshot }) => [
    ...[utcTimeText(date), printableText(path), kind],
    ...(snapshot === undefined ? ['', ''] : [snapshot.idBytes, snapshot.nameBytes].map(printable)),
    ...[String(date.seconds), String(date.nanoseconds)],
    ...(snapshot === undefined
      ? ['', '', '']
      : [
          ...[String(snapshot.vmClockNanoseconds), String(snapshot.at)],
          codes.get(path)?.get(snapshot.index) ?? '',
        ]),
  ]);
  return [TITLES, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

/** What programs for tables take for the beginning of a formula. */
const FORMULA = /^[=+@'\uff0b\uff0d\uff1d\uff20]|^-(?!\d+$)/;

/** Names come from images of strangers: no program for tables may carry one out. A `'` in front keeps it from that. */
function cell(text: string): string {
  const safe = FORMULA.test(text) ? `'${text}` : text;
  return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
