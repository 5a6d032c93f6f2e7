import { utf8Bytes } from '../base/text.js';
import type { Image } from '../image/image.js';
import { planBacking, type NewBacking } from '../edit/header/plan-backing.js';
import { findSnapshot } from '../edit/snapshot/find.js';
import { planApply } from '../edit/snapshot/apply.js';
import { planCreate } from '../edit/snapshot/create.js';
import { planDelete, planDeleteInPlace } from '../edit/snapshot/delete.js';
import { planRename } from '../edit/snapshot/rename.js';
import { planResize } from '../edit/resize/plan-resize.js';
import { planStrip } from '../edit/strip/plan-strip.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import {
  APPLY,
  BACKING,
  BYTES_OR_TEXT,
  CREATE,
  DELETE,
  EDIT,
  NUMBER,
  OBJECT,
  refuseArgument,
  refuseNoChoice,
  refuseNoName,
  refuseWrong,
  RESIZE,
  STRIP,
} from './known-options.js';
import { snapshotDate } from './now.js';
import type {
  ApplyingOptions,
  DeletingOptions,
  EditOptions,
  NewSnapshotOptions,
  OpenQcowOptions,
  ResizingOptions,
  SnapshotChoice,
  StrippingOptions,
} from './options.js';
import type { Planner } from './planned-edit.js';

/** The snapshot that a caller means. @throws QsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS. */
export function chosen({ snapshots }: Pick<Image, 'snapshots'>, choice: SnapshotChoice): Snapshot {
  return typeof choice === 'string' ? findSnapshot(snapshots, choice) : choice;
}

/** The date is that of the call, whenever the edit's turn comes. */
export function creating(name: string, options: NewSnapshotOptions): Planner {
  refuseNoName(name);
  refuseWrong(options, CREATE);
  const { date, id } = options;
  const dated = { name, date: snapshotDate(date), ...(id !== undefined && { id }) };
  return (image, planning) => planCreate(image, dated, planning);
}

/** What `apply` does. */
export function applying(choice: SnapshotChoice, wanted: ApplyingOptions): Planner {
  refuseNoChoice(choice);
  refuseWrong(wanted, APPLY);
  const { discardChanges, saveAs } = wanted;
  const date = snapshotDate();
  const options = {
    discardChanges: discardChanges === true,
    ...(saveAs !== undefined && { saveAs: { name: saveAs, date } }),
  };
  return async (image, planning) => planApply(image, chosen(image, choice), options, planning);
}

/** What `delete` does; the choices may mean one snapshot more than once. */
export function deleting(
  choices: SnapshotChoice | readonly SnapshotChoice[],
  options: DeletingOptions,
): Planner {
  refuseWrong(options, DELETE);
  const { inPlace } = options;
  const all: readonly SnapshotChoice[] = isList(choices) ? [...choices] : [choices];
  refuseNoChoice(...all);
  return async (image, planning) => {
    const doomed = all.map((choice) => chosen(image, choice));
    return inPlace === true
      ? planDeleteInPlace(image, doomed, planning)
      : planDelete(image, doomed, planning);
  };
}

const isList = (
  choices: SnapshotChoice | readonly SnapshotChoice[],
): choices is readonly SnapshotChoice[] => Array.isArray(choices);

/** What `rename` does. */
export function renaming(choice: SnapshotChoice, name: string, options: EditOptions): Planner {
  refuseNoChoice(choice);
  refuseNoName(name);
  refuseWrong(options, EDIT);
  return async (image, planning) => planRename(image, chosen(image, choice), name, {}, planning);
}

/** What `setBacking` does. An argument that was forgotten must not mean none. */
export function settingBacking(backing: NewBacking | 'none', options: EditOptions): Planner {
  refuseWrong(options, EDIT);
  if (backing === 'none') return (image) => planBacking(image, undefined);
  refuseArgument('backing file', backing, OBJECT);
  refuseWrong(backing, BACKING);
  refuseArgument('name', backing.name, BYTES_OR_TEXT);
  return (image) => planBacking(image, backing);
}

/** What `resize` does. */
export function resizing(diskSizeBytes: number, wanted: ResizingOptions): Planner {
  refuseArgument('size', diskSizeBytes, NUMBER);
  refuseWrong(wanted, RESIZE);
  const { shrink, preallocation } = wanted;
  const options = {
    diskSizeBytes,
    shrink: shrink === true,
    ...(preallocation !== undefined && { preallocation }),
  };
  return (image, planning) => planResize(image, options, planning);
}

/** What `strip` does, with what the image was opened with. */
export function stripping(
  wanted: StrippingOptions,
  { decompressor, cryptography }: OpenQcowOptions,
): Planner {
  refuseWrong(wanted, STRIP);
  const { snapshots, whole, passphrase } = wanted;
  return async (image, planning) => {
    const options = {
      snapshots: snapshots?.map((choice) => chosen(image, choice)),
      whole: whole === true,
      ...(decompressor !== undefined && { decompressor }),
      ...(cryptography !== undefined && { cryptography }),
      passphrase: typeof passphrase === 'string' ? utf8Bytes(passphrase) : passphrase,
    };
    return planStrip(image, options, planning);
  };
}
