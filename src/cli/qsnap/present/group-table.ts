import type { GroupListing, ListedImage, ListedName, Snapshot } from '../../../index.js';
import { printable, printableText } from '../../../internal.js';
import { displayWidth, tableLines, type Column } from '../../columns.js';
import type { Style } from '../../style.js';
import { countText, localTimeText } from '../../text.js';
import { APPLIED_LAST } from './snapshot-text.js';

const EQUAL = '*';
const NAME_WIDTH_MAX = 32;
const WIDTH_MAX = 80;
/** Room for a name, a date, and what lies between columns. */
const OTHER_COLUMNS_WIDTH = 2 + NAME_WIDTH_MAX + 19;

/** The table of `list --group`: one row for each name, one column for each image; and below it what is not alike. */
export function groupTableLines(listing: GroupListing, style: Style): readonly string[] {
  const { images, names } = listing;
  const files = shortNames(images);
  if (names.length === 0) return ['No snapshots.'];
  const { titles, legend } = titlesOf(files, names);
  const columns: Column[] = [
    { title: 'NAME', align: 'left', widthMax: NAME_WIDTH_MAX },
    { title: 'DATE', align: 'left' },
    ...titles.map((title): Column => ({ title, align: 'left' })),
  ];
  const rows = names.map((name) => [nameText(name), dateText(name), ...cellsOf(name, images)]);
  return [
    ...tableLines(columns, rows),
    ...legend,
    ...legendOf(images),
    ...remarksOf(listing, files).map((line) => style.warning(line)),
  ];
}

const nameText = ({ snapshots }: ListedName): string => printable(first(snapshots).nameBytes);
const dateText = ({ snapshots }: ListedName): string =>
  localTimeText(first(snapshots).date.seconds);
const first = (snapshots: ListedName['snapshots']): Snapshot => snapshots.flat()[0]!;

/** Each image's cell: a mark where its active disk stands, and `yes`, `-` or how much its date differs. */
function cellsOf(name: ListedName, images: readonly ListedImage[]): readonly string[] {
  const since = first(name.snapshots).date.seconds;
  return images.map(({ standsOn, isEqual }, i) => {
    const own = name.snapshots[i]!;
    if (own.length === 0) return '-';
    const there = own.length > 1 ? `${own.length} times` : datedText(own[0]!, since, name);
    const stands = own.some((snapshot) => standsOn.includes(snapshot));
    return stands ? `${there} ${isEqual ? EQUAL : APPLIED_LAST}` : there;
  });
}

function datedText({ date }: Snapshot, since: number, { datesApart }: ListedName): string {
  const seconds = date.seconds - since;
  if (!datesApart || seconds === 0) return 'yes';
  return `${durationText(Math.abs(seconds))} ${seconds < 0 ? 'before' : 'after'}`;
}

/** The largest unit does: what counts is that they are apart. */
function durationText(seconds: number): string {
  const units = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ] as const;
  for (const [length, unit] of units) {
    if (seconds >= length) return countText(Math.floor(seconds / length), unit);
  }
  return countText(seconds, 'second');
}

/** What people call each image: the last part of its path, or as much of it as tells it from the others. */
function shortNames(images: readonly ListedImage[]): readonly string[] {
  const parts = images.map(({ file }) => file.split('/'));
  const longest = Math.max(...parts.map(({ length }) => length));
  for (let count = 1; count < longest; count += 1) {
    const names = parts.map((words) => words.slice(-count).join('/'));
    if (new Set(names).size === names.length) return names.map((name) => printableText(name));
  }
  return images.map(({ file }) => printableText(file));
}

/** Names above the columns; numbers where the table would be too wide for a terminal. */
function titlesOf(
  files: readonly string[],
  names: readonly ListedName[],
): { readonly titles: readonly string[]; readonly legend: readonly string[] } {
  const nameWidth = Math.max(4, ...names.map((name) => displayWidth(nameText(name))));
  const others = OTHER_COLUMNS_WIDTH - NAME_WIDTH_MAX + Math.min(nameWidth, NAME_WIDTH_MAX);
  const width = files.reduce((sum, file) => sum + 2 + Math.max(displayWidth(file), 3), others);
  if (width <= WIDTH_MAX) return { titles: files, legend: [] };
  const titles = files.map((_, i) => `(${i + 1})`);
  return { titles, legend: files.map((file, i) => `(${i + 1}) ${file}`) };
}

function legendOf(images: readonly ListedImage[]): readonly string[] {
  const standing = images.filter(({ standsOn }) => standsOn.length > 0);
  return [
    ...(standing.some(({ isEqual }) => isEqual) ? [`${EQUAL} equals the active disk`] : []),
    ...(standing.some(({ isEqual }) => !isEqual)
      ? [`${APPLIED_LAST} the active disk grew from it`]
      : []),
  ];
}

function remarksOf(
  { images, names, driftedApart }: GroupListing,
  files: readonly string[],
): readonly string[] {
  const quoted = (name: ListedName): string => `"${nameText(name)}"`;
  const partly = new Map<string, string[]>();
  for (const name of names.filter(({ isEverywhere }) => !isEverywhere)) {
    const where = files.filter((_, i) => name.snapshots[i]!.length > 0).join(', ');
    partly.set(where, [...(partly.get(where) ?? []), quoted(name)]);
  }
  const apart = names.filter(({ datesApart }) => datesApart).map(quoted);
  const often = names.filter(({ snapshots }) => snapshots.some(({ length }) => length > 1));
  return [
    ...[...partly].map(([where, some]) => `Only on ${where}: ${some.join(', ')}.`),
    ...(apart.length > 0 ? [`Not taken together: ${apart.join(', ')}.`] : []),
    ...(often.length > 0 ? [`Several of one name: ${often.map(quoted).join(', ')}.`] : []),
    ...(driftedApart ? [driftLine(images, files)] : []),
  ];
}

/** `vm.qcow2 stands on "golden", nvram.qcow2 on "monday": …` */
function driftLine(images: readonly ListedImage[], files: readonly string[]): string {
  const each = images.flatMap(({ standsOn }, i) => {
    const [last] = standsOn.slice(-1);
    return last === undefined ? [] : [[files[i]!, `"${printable(last.nameBytes)}"`] as const];
  });
  const words = each.map(([file, name], i) => `${file} ${i === 0 ? 'stands ' : ''}on ${name}`);
  return `${words.join(', ')}: the states have drifted apart.`;
}
