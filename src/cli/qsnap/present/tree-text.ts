import type { Ancestry, Descent } from '../../../index.js';
import { describeSnapshot, printable } from '../../../internal.js';
import { tableLines, type Column } from '../../columns.js';
import type { Style } from '../../style.js';
import { localTimeText, sizeText } from '../../text.js';
import { diskName } from './disk-name.js';
import { APPLIED_LAST } from './snapshot-text.js';
import type { TreeRow } from './tree-rows.js';

const COLUMNS: readonly Column[] = [
  { title: '', align: 'left' },
  { title: 'SNAPSHOT', align: 'left', widthMax: 60 },
  { title: 'DATE', align: 'left' },
  { title: 'NEW', align: 'right' },
  { title: 'GONE', align: 'right' },
  { title: '', align: 'left' },
];

/** A disk that grew from none of the others. */
const ROOT = '◆';
/** A snapshot that grew from another one. */
const GROWN = '○';
/** The active disk, where it grew from a snapshot. */
const ACTIVE = '●';

/** The tree in lines, and what its marks mean. */
export function treeLines(ancestry: Ancestry, rows: readonly TreeRow[], style: Style): string[] {
  const cells = rows.map((row) => [
    row.isAppliedLast ? APPLIED_LAST : ' ',
    `${branchOf(row)}${diskName(row.descent.snapshot)}`,
    row.descent.snapshot === undefined ? '' : localTimeText(row.descent.snapshot.date.seconds),
    sizeText(row.descent.newBytes),
    row.descent.goneBytes === 0 ? '-' : sizeText(row.descent.goneBytes),
    doubtOf(row.descent),
  ]);
  const lines = tableLines(COLUMNS, cells).map((line) =>
    line.startsWith(APPLIED_LAST) ? style.marker(APPLIED_LAST) + line.slice(1) : line,
  );
  return [...lines, ...legendOf(ancestry, rows)];
}

/** `│ ├─○ `: the lines of the columns before, and the disk. */
function branchOf({ column, opensBranch, parentRow, descent }: TreeRow): string {
  const lines = opensBranch ? `${'│ '.repeat(column - 1)}├─` : '│ '.repeat(column);
  const isActive = descent.snapshot === undefined;
  return `${lines}${parentRow === undefined ? ROOT : isActive ? ACTIVE : GROWN} `;
}

/** More than this are counted. */
const ALTERNATIVES_SHOWN_MAX = 3;

function doubtOf({ certainty, alternatives, moreAlternatives }: Descent): string {
  if (certainty === 'untold') return '? shares nothing';
  if (certainty !== 'tied') return '';
  const shown = alternatives
    .slice(0, ALTERNATIVES_SHOWN_MAX)
    .map(({ idBytes }) => printable(idBytes));
  const more = alternatives.length - shown.length + moreAlternatives;
  return `? or from ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function legendOf(
  { active, snapshots, changedBytes }: Ancestry,
  rows: readonly TreeRow[],
): readonly string[] {
  if (snapshots.length === 0) return [];
  const notes = [
    howToRead(rows),
    'Inferred from the clusters that disks share; an image does not record it.',
  ];
  const { parent, alternatives } = active;
  if (parent === undefined) return notes;
  const perhaps = alternatives.length === 0 ? '' : ', or from another one of the same state';
  const size = changedBytes === 0 ? 'nothing' : sizeText(changedBytes!);
  const line = `${APPLIED_LAST} the active disk grew from ${describeSnapshot(parent)}${perhaps}; ${size} changed since.`;
  return [line, ...notes];
}

/** How to read the lines, as far as there are such. */
function howToRead(rows: readonly TreeRow[]): string {
  const hasBranches = rows.some(({ opensBranch }) => opensBranch);
  const roots = rows.filter(({ parentRow }) => parentRow === undefined);
  return [
    'Each grew from the one above it in its column',
    ...(hasBranches ? ['after ├─ from the one above in the column to the left'] : []),
    ...(roots.length > 1 ? [`${ROOT} from none of the others`] : []),
  ]
    .join('; ')
    .concat('.');
}
