import type {
  DoneGroupEdit,
  FoundRecord,
  GroupListing,
  ListedImage,
  PlannedGroupEdit,
  QsnapError,
} from '../../../index.js';
import { stayingJson, type StayingInGroup } from '../staying-vm-state.js';
import { unreadJson } from '../unread.js';
import { doneJson, dryRunJson } from './plan-json.js';
import { snapshotJson } from './snapshot-json.js';

/** An edit of a group that is done. docs/schema/group-edit.json. */
export function groupDoneJson(
  { request, images, haveIt }: DoneGroupEdit,
  verified: boolean,
  stayingIn: StayingInGroup,
): Record<string, unknown> {
  return {
    operation: request.operation,
    images: images.map((one) => ({
      ...doneJson(one.file, one.plan, one.report, one.image, verified),
      ...groupStayingJson(stayingIn(one)),
    })),
    'have-it': haveIt,
  };
}

/** One that was not carried out. docs/schema/group-edit.json. */
export function groupDryRunJson(
  { request, images, haveIt }: PlannedGroupEdit,
  refused: ReadonlyMap<string, QsnapError | undefined>,
  stayingIn: StayingInGroup,
): Record<string, unknown> {
  return {
    operation: request.operation,
    images: images.map((one) => ({
      ...dryRunJson(one.file, one.plan, one.image, refused.get(one.file)),
      ...groupStayingJson(stayingIn(one)),
    })),
    'have-it': haveIt,
  };
}

function groupStayingJson(staying: ReturnType<StayingInGroup>): Record<string, unknown> {
  return staying === undefined ? {} : stayingJson(staying);
}

/** docs/schema/group-list.json. */
export function groupListJson(
  { images, names, driftedApart }: GroupListing,
  unfinished: FoundRecord | undefined,
): Record<string, unknown> {
  return {
    images: images.map(imageJson),
    names: names.map(({ name, snapshots, isEverywhere, datesApart }) => ({
      name,
      'is-everywhere': isEverywhere,
      'dates-apart': datesApart,
      ids: snapshots.map((ofOne) => ofOne.map(({ id }) => id)),
    })),
    'drifted-apart': driftedApart,
    ...(unfinished !== undefined && {
      unfinished: {
        operation: unfinished.request.operation,
        record: unfinished.label,
        files: unfinished.files,
      },
    }),
  };
}

function imageJson({ file, image, standsOn, isEqual }: ListedImage): Record<string, unknown> {
  return {
    filename: file,
    snapshots: image.snapshots.map((snapshot) => snapshotJson(snapshot, undefined)),
    'stands-on': standsOn.map(({ id, name }) => ({ id, name })),
    'is-unchanged-since': isEqual,
    ...unreadJson(image),
  };
}
