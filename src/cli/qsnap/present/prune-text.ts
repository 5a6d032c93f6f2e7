import type { KeptBy, PruneChoice } from '../../../index.js';
import { printable } from '../../../internal.js';
import { tableLines, type Column } from '../../columns.js';
import { localTimeText } from '../../text.js';

const COLUMNS: readonly Column[] = [
  { title: '', align: 'left' },
  { title: 'ID', align: 'left', widthMax: 12 },
  { title: 'NAME', align: 'left', widthMax: 40 },
  { title: 'DATE', align: 'left' },
  { title: 'WHY', align: 'left' },
];

const KEPT_BY: Readonly<Record<KeptBy, string>> = {
  'not-among': 'another name',
  keep: 'kept by name',
  young: 'not old enough',
  last: 'one of the last',
  hourly: 'hourly',
  daily: 'daily',
  weekly: 'weekly',
  monthly: 'monthly',
};

/** What becomes of each snapshot, and why. */
export function choiceLines(choices: readonly PruneChoice[]): string[] {
  if (choices.length === 0) return ['No snapshots.'];
  const rows = choices.map(({ snapshot, keptBy }) => [
    keptBy.length === 0 ? 'delete' : 'keep',
    printable(snapshot.idBytes),
    printable(snapshot.nameBytes),
    localTimeText(snapshot.date.seconds),
    keptBy.map((why) => KEPT_BY[why]).join(', '),
  ]);
  return tableLines(COLUMNS, rows);
}
