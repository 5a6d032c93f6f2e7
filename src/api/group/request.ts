import { hinted } from '../../base/hints.js';
import { printable, printableText, sameBytes, utf8Bytes } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { Image, OpenImage } from '../../image/image.js';
import type { Snapshot, SnapshotDate } from '../../qcow2/snapshot-table.js';
import { planApply } from '../../edit/snapshot/apply.js';
import { planCreate } from '../../edit/snapshot/create.js';
import { planDelete } from '../../edit/snapshot/delete.js';
import { findSnapshot } from '../../edit/snapshot/find.js';
import type { Planner } from '../planned-edit.js';

/** What is done to every image of a group. */
export type GroupRequest =
  | { readonly operation: 'create'; readonly name: string; readonly date: SnapshotDate }
  | {
      readonly operation: 'apply';
      readonly snapshot: string;
      readonly discardChanges: boolean;
      /** The name under which the active disks are kept, and its date. */
      readonly saveAs?: NameAndDate | undefined;
    }
  | { readonly operation: 'delete'; readonly snapshots: readonly string[] };

/** What a new snapshot is called and dated on every image of a group. */
export interface NameAndDate {
  readonly name: string;
  readonly date: SnapshotDate;
}

/** One snapshot of one image, by what stays the same wherever it lies in the table. */
export interface SnapshotMark extends NameAndDate {
  readonly id: string;
}

/** The names or selectors of a request that choose snapshots. */
export function selectorsOf(request: GroupRequest): readonly string[] {
  switch (request.operation) {
    case 'create':
      return [];
    case 'apply':
      return [request.snapshot];
    case 'delete':
      return request.snapshots;
  }
}

/**
 * The snapshots that selectors mean, for each image: a word is a name; `id:3` and `#2` have to mean snapshots of one
 * name on all images.
 *
 * @throws QsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS, with the image as `file`.
 */
export function chooseSnapshots(
  images: readonly OpenImage[],
  selectors: readonly string[],
): readonly (readonly SnapshotMark[])[] {
  const chosen = images.map((image) => selectors.map((selector) => chooseIn(image, selector)));
  for (const [i, selector] of selectors.entries()) {
    const names = chosen.map((snapshots) => snapshots[i]!);
    const other = names.findIndex(({ nameBytes }) => !sameBytes(nameBytes, names[0]!.nameBytes));
    if (other !== -1) throw namesApart(selector, [0, other], images, names);
  }
  // Two selectors may mean one snapshot: it is taken once.
  return chosen.map((snapshots) => [...new Set(snapshots)].map(markOf));
}

function chooseIn(image: OpenImage, selector: string): Snapshot {
  const { snapshots, source } = image;
  const isName = !/^(id:|name:|#\d{1,9}$)/.test(selector);
  const name = utf8Bytes(selector);
  if (isName && !snapshots.some(({ nameBytes }) => sameBytes(nameBytes, name))) {
    throw new QsnapError('SNAPSHOT_NOT_FOUND', `no snapshot has the name "${printable(name)}"`, {
      file: source.label,
      actual: selector,
      ...hinted('list-group'),
    });
  }
  return inFile(image, () => findSnapshot(snapshots, isName ? `name:${selector}` : selector));
}

function inFile<T>({ source }: OpenImage, find: () => T): T {
  try {
    return find();
  } catch (error) {
    throw error instanceof QsnapError ? error.with({ file: source.label }) : error;
  }
}

function namesApart(
  selector: string,
  pair: readonly number[],
  images: readonly OpenImage[],
  found: readonly Snapshot[],
): QsnapError {
  const each = pair.map((i) => {
    const { label } = images[i]!.source;
    return `"${printable(found[i]!.nameBytes)}" in ${printableText(label)}`;
  });
  const message = `"${printableText(selector)}" is ${each.join(' and ')}`;
  return new QsnapError('SNAPSHOT_AMBIGUOUS', message, {
    actual: selector,
    expected: 'snapshots of one name',
    hint: 'choose snapshots of a group by their names',
  });
}

function markOf({ id, name, date }: Snapshot): SnapshotMark {
  return { id, name, date: { seconds: date.seconds, nanoseconds: date.nanoseconds } };
}

/** What to do where an edit can't be resumed. */
export const FINISH_BY_HAND =
  'bring each image by itself to the state that you want, and remove the record of the edit';

/** The snapshots of an image that are called and dated so. */
export function snapshotsLike(
  { snapshots }: Pick<Image, 'snapshots'>,
  { name, date }: NameAndDate,
): readonly Snapshot[] {
  return snapshots.filter(
    (one) =>
      one.name === name &&
      one.date.seconds === date.seconds &&
      one.date.nanoseconds === date.nanoseconds,
  );
}

/** The snapshot that a mark is of; undefined where it is not there. */
export function findMarked(
  image: Pick<Image, 'snapshots'>,
  mark: SnapshotMark,
): Snapshot | undefined {
  return snapshotsLike(image, mark).find(({ id }) => id === mark.id);
}

/** What is planned of one image. @param marks its own snapshots. */
export function plannerOf(request: GroupRequest, marks: readonly SnapshotMark[]): Planner {
  switch (request.operation) {
    case 'create': {
      const { name, date } = request;
      return (image, planning) => planCreate(image, { name, date }, planning);
    }
    case 'apply': {
      const { saveAs, discardChanges } = request;
      const options = { discardChanges, ...(saveAs !== undefined && { saveAs }) };
      return async (image, planning) =>
        planApply(image, marked(image, marks[0]!), options, planning);
    }
    case 'delete':
      return async (image, planning) => {
        return planDelete(
          image,
          marks.map((mark) => marked(image, mark)),
          planning,
        );
      };
  }
}

function marked(image: OpenImage, mark: SnapshotMark): Snapshot {
  const found = findMarked(image, mark);
  if (found !== undefined) return found;
  const message = `the snapshot "${printableText(mark.name)}" of the edit is not there any more`;
  throw new QsnapError('SNAPSHOT_NOT_FOUND', message, {
    file: image.source.label,
    hint: FINISH_BY_HAND,
  });
}
