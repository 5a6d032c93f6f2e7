import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { placeOfActive } from '../../edit/snapshot/unsaved.js';
import { recordedHeader, type FoundRecord, type RecordedImage } from './record.js';
import {
  FINISH_BY_HAND,
  findMarked,
  snapshotsLike,
  type GroupRequest,
  type NameAndDate,
  type SnapshotMark,
} from './request.js';

type ApplyRequest = Extract<GroupRequest, { operation: 'apply' }>;

/**
 * What is left of a group edit on one image: its snapshots that the edit is still about. Undefined: the image has the
 * edit.
 *
 * The header alone does not tell. An edit of the image by itself may have brought it to the same places.
 *
 * @throws QsnapError GROUP_CHANGED where it can't be told whether the image has the edit.
 */
export async function leftToDo(
  image: OpenImage,
  { request, label }: Pick<FoundRecord, 'request' | 'label'>,
  recorded: RecordedImage,
): Promise<readonly SnapshotMark[] | undefined> {
  switch (request.operation) {
    case 'create':
      return snapshotsLike(image, request).length > 0 ? undefined : [];
    case 'delete': {
      const left = recorded.chosen.filter((mark) => findMarked(image, mark) !== undefined);
      return left.length === 0 ? undefined : left;
    }
    case 'apply':
      return (await isApplied(image, request, recorded, label)) ? undefined : recorded.chosen;
  }
}

async function isApplied(
  image: OpenImage,
  { saveAs }: ApplyRequest,
  { headerBefore, headerAfter, chosen }: RecordedImage,
  label: string,
): Promise<boolean> {
  // The disk was kept by the same switch.
  if (saveAs !== undefined && snapshotsLike(image, saveAs).length > 0) return true;
  const header = recordedHeader(image.headerSector);
  if (header === headerBefore) return false;
  const mayBe = header === headerAfter && saveAs === undefined;
  if (mayBe && (await mayStandOn(image, chosen[0]!))) return true;
  throw changed(image, chosen[0]!, label);
}

/** Whether nothing says that the active disk grew from another snapshot. */
async function mayStandOn(image: OpenImage, mark: SnapshotMark): Promise<boolean> {
  const applied = findMarked(image, mark);
  if (applied === undefined) return false;
  const { equal, grewFrom } = await placeOfActive(image, Infinity);
  if (equal.size > 0) return equal.has(applied.index);
  return grewFrom === undefined || grewFrom.nearest.index === applied.index;
}

function changed({ source }: OpenImage, { name }: NameAndDate, label: string): QsnapError {
  const message =
    'the image was edited by itself since the group edit was cut, and whether it stands on ' +
    `"${printableText(name)}" can't be told`;
  return new QsnapError('GROUP_CHANGED', message, {
    file: source.label,
    structure: 'header',
    at: 24,
    hint: `${FINISH_BY_HAND}: ${printableText(label)}`,
  });
}
