/** `snapshot`: list, create, apply, delete. */
import {
  editWithinRoom,
  executePlan,
  executeStages,
  isQsnapError,
  planApply,
  planCreate,
  planDelete,
  planDeleteInPlace,
  openImage,
  type EditPlan,
  type Image,
  type OpenImage,
  type OpenOptions,
  type Snapshot,
  type StagedEdit,
} from '../../index.js';
import {
  eachOption,
  fileRequest,
  oneOperand,
  type ArgvContext,
  type FileRequest,
} from './grammar/argv.js';
import { grammarOf } from './grammar/command-options.js';
import { bytesOf } from './grammar/bytes.js';
import { appliedSnapshot, newlyMeantTwice } from './grammar/snapshot-choice.js';
import type { Run } from './run-command.js';
import type { QemuImgIo } from './disks/io.js';
import {
  ACTION_REASONS,
  INCONSISTENT_BITMAPS_WARNING,
  OPEN_REASONS,
  actionFailed,
  createUnsupported,
  couldNotOpen,
  editFailed,
  guessedRawWarning,
} from './messages.js';
import { USAGE } from './messages/usage.js';
import { withEditableImage, withImage, type EditableFile, type Opened } from './disks/opened.js';
import { Refusal, UsageError } from './refusal.js';
import { NAME_ARRAY_BYTES, snapshotName, snapshotTableLines } from './table.js';
import { targetOf, type Target } from './disks/target.js';

type SnapshotAction =
  | { readonly kind: 'none' | 'list' }
  | { readonly kind: 'create' | 'apply' | 'delete'; readonly name: string };

interface SnapshotRequest extends FileRequest {
  readonly format: string | undefined;
  readonly action: SnapshotAction;
}

const ACTIONS: Readonly<Record<string, 'apply' | 'create' | 'delete' | 'list'>> = {
  a: 'apply',
  c: 'create',
  d: 'delete',
  l: 'list',
};

const NAMELESS = ['apply', 'create', 'delete'] as const;

/** Parses the arguments of `snapshot`. */
export function parseSnapshot(argv: readonly string[], context: ArgvContext): Run | undefined {
  const { behaviour } = context;
  const actions: SnapshotAction[] = [];
  let format: string | undefined;
  const flags = new Set<string>();
  const operands = eachOption(
    argv,
    grammarOf('snapshot', behaviour),
    context,
    ({ name, value }) => {
      const kind = ACTIONS[name];
      if (name === 'format') format = value;
      else if (kind === undefined) flags.add(name);
      else if (actions.length > 0) throw new UsageError(USAGE.mixedActions);
      else actions.push(kind === 'list' ? { kind } : { kind, name: value });
    },
  );
  if (operands === undefined) return undefined;
  // Debian's 10.0 has them without a name, and takes the name for a second file.
  if (NAMELESS.some((name) => flags.has(name))) throw new UsageError(USAGE.oneFile);
  const file = fileRequest(oneOperand(operands), flags);
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  const usual = { kind: behaviour.snapshotLists ? 'list' : 'none' } as const;
  const request = { ...file, format, action: actions[0] ?? usual };
  return (io) => runSnapshot(request, io);
}

type Edit = Extract<SnapshotAction, { readonly name: string }>;

async function runSnapshot(request: SnapshotRequest, io: QemuImgIo): Promise<number> {
  const { action, forceShare, operand } = request;
  // Without an action, too, QEMU opens the image for writing.
  if (forceShare && action.kind !== 'list') {
    throw couldNotOpen(operand, OPEN_REASONS.forceShareForEdit);
  }
  const target = targetOf(operand, request.imageOpts, request.format);
  if (action.kind === 'list') {
    await list(target, forceShare, io);
    return 0;
  }
  await withEditableImage(target, async (opened) => {
    warnAboutLock(opened.file, io);
    if (opened.kind === 'raw') {
      editRaw(action, opened, target, io);
      return;
    }
    refuseUnwritable(opened.image, target);
    warnAboutBitmaps(opened.image, io);
    if ('name' in action) {
      await edit(action, opened.file, io);
    }
  });
  return 0;
}

async function list(target: Target, forceShare: boolean, io: QemuImgIo): Promise<void> {
  await withImage(target, forceShare, (opened) => {
    if (opened.kind === 'qcow2') {
      refuseWithoutDataFile(opened.image, target);
      warnAboutBitmaps(opened.image, io);
      io.printLines(snapshotTableLines(listedSnapshots(opened.image), io.behaviour, io.show));
    }
    return Promise.resolve();
  });
}

/** QEMU knows no snapshots of an image with an external data file. */
export function listedSnapshots(image: Image): readonly Snapshot[] {
  return image.header.externalDataFile ? [] : image.snapshots;
}

/** QEMU says so whenever it opens such an image. */
export function warnAboutBitmaps(image: Image, io: QemuImgIo): void {
  const { extensions, header } = image;
  if (header.version === 2 || header.bitmapsConsistent) return;
  if (extensions.some(({ kind }) => kind === 'bitmaps')) io.warn(INCONSISTENT_BITMAPS_WARNING, '');
}

/** Ours: QEMU says nothing where a file system has no locks, but there its locks are known. */
export function warnAboutLock(file: EditableFile, io: QemuImgIo): void {
  if (file.lock.guarantee === 'locked') return;
  io.warn('warning: the image could not be locked against other programs');
}

function refuseWithoutDataFile(image: Image, target: Target): void {
  const isNamed = image.extensions.some(({ kind }) => kind === 'data-file-name');
  if (!image.header.externalDataFile || isNamed) return;
  throw couldNotOpen(target.operand, OPEN_REASONS.dataFileMissing);
}

export function refuseUnwritable(image: Image, target: Target): void {
  refuseWithoutDataFile(image, target);
  if (!image.header.markedCorrupt) return;
  throw couldNotOpen(target.operand, OPEN_REASONS.markedCorrupt);
}

/** Guest data is written by shadow and switch, which another file has not. */
export function refuseDataFile(image: Image, { shown }: Target, io: QemuImgIo): void {
  if (image.header.externalDataFile) throw new Refusal(ACTION_REASONS.dataFile(io.tell(shown)));
}

/** A raw disk can't have snapshots. QEMU opens it again to apply one, and warns again. */
function editRaw(
  action: SnapshotAction,
  opened: Extract<Opened<EditableFile>, { kind: 'raw' }>,
  target: Target,
  io: QemuImgIo,
): void {
  if (opened.guessed) {
    const times = action.kind === 'apply' ? 2 : 1;
    for (let i = 0; i < times; i++) io.printError(`${guessedRawWarning(target.shown)}\n`);
  }
  switch (action.kind) {
    case 'create':
      throw createUnsupported(action.name, io.behaviour);
    case 'apply':
      throw actionFailed('apply', action.name, ACTION_REASONS.noSnapshots);
    case 'delete':
      throw actionFailed('delete', action.name, ACTION_REASONS.notFound);
    case 'none':
    case 'list':
      return;
  }
}

async function edit(action: Edit, device: EditableFile, io: QemuImgIo): Promise<void> {
  try {
    const make = async (how: OpenOptions): Promise<Planned> => {
      const image = await openImage(device, how);
      return { image, plan: await planOf(action, image, io) };
    };
    await editWithinRoom(device, make, async ({ plan, image }) => {
      await io.interruptible((signal) => executePlan(plan, { signal }));
      warnAboutNames(plan, image, io);
    }).catch(async (error: unknown) => {
      if (action.kind !== 'delete' || !isFull(error)) throw error;
      await deleteInPlace(action.name, device, io);
    });
  } catch (error) {
    if (error instanceof Refusal || !isQsnapError(error)) throw error;
    throw editFailed(action.kind, action.name, error, io.behaviour);
  }
}

interface Planned {
  readonly image: OpenImage<EditableFile>;
  readonly plan: EditPlan<EditableFile>;
}

/** Ours: QEMU makes a snapshot by which the next `-a` means another one than libvirt. */
function warnAboutNames({ created }: EditPlan, { snapshots }: Image, io: QemuImgIo): void {
  const reasons = created.flatMap((fresh) => newlyMeantTwice(snapshots, fresh));
  for (const reason of reasons) io.warn(`warning: ${reason}`);
}

const isFull = (error: unknown): boolean => isQsnapError(error) && error.code === 'NO_SPACE';

/** Who deletes snapshots of an image on a full disk wants the room: the way that needs none. */
async function deleteInPlace(name: string, device: EditableFile, io: QemuImgIo): Promise<void> {
  const make = async (how: OpenOptions): Promise<{ plan: StagedEdit<EditableFile> }> => {
    const image = await openImage(device, how);
    return { plan: await planDeleteInPlace(image, [snapshotToDelete(name, image)]) };
  };
  await editWithinRoom(device, make, ({ plan }) =>
    io.interruptible((signal) => executeStages(plan, { signal })),
  );
}

function planOf(
  action: Edit,
  image: OpenImage<EditableFile>,
  io: QemuImgIo,
): Promise<EditPlan<EditableFile>> {
  switch (action.kind) {
    case 'create':
      if (image.header.externalDataFile) {
        throw createUnsupported(action.name, io.behaviour);
      }
      return planCreate(image, {
        name: bytesOf(action.name).subarray(0, NAME_ARRAY_BYTES - 1),
        date: io.now(),
        // QEMU writes 0 too, where -1 would say that nothing was counted.
        icount: 0n,
        allowDuplicateName: true,
        anyName: true,
        withVmState: true,
      });
    case 'apply':
      return planApply(image, snapshotToApply(action.name, image), {
        discardChanges: true,
        withVmState: true,
      });
    case 'delete':
      return planDelete(image, [snapshotToDelete(action.name, image)]);
  }
}

function snapshotToApply(name: string, image: Image): Snapshot {
  if (image.bitmaps.length > 0) throw actionFailed('apply', name, ACTION_REASONS.bitmaps);
  if (image.header.externalDataFile) {
    throw actionFailed('apply', name, ACTION_REASONS.applyUnsupported);
  }
  const found = appliedSnapshot(image.snapshots, name, (reason) =>
    actionFailed('apply', name, reason),
  );
  if (found === undefined) throw actionFailed('apply', name, ACTION_REASONS.notFoundToApply);
  return found;
}

/** By name alone; then QEMU deletes the first that has both the id and the name of what it found. */
function snapshotToDelete(name: string, image: Image): Snapshot {
  const found = listedSnapshots(image).find((snapshot) => snapshotName(snapshot) === name);
  if (found === undefined) throw actionFailed('delete', name, ACTION_REASONS.notFound);
  return found;
}
