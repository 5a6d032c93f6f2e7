import { hinted } from '../../base/hints.js';
import { keptSnapshots } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import type { EditRequest } from '../plan/survey.js';
import { counted } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { Image, OpenImage } from '../../image/image.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { EditPlan } from '../tx/plan.js';
import {
  copiedL1,
  diskRange,
  l1WithVmState,
  namesOf,
  newEntry,
  type CreateOptions,
} from './create.js';
import { describeSnapshot } from '../../qcow2/describe-snapshot.js';
import { computeUnsavedChanges, type UnsavedChanges } from './unsaved.js';

/** What becomes of the active disk when it holds what no snapshot holds. */
export interface ApplyOptions {
  /** Go on although the active disk holds what no snapshot holds. */
  readonly discardChanges?: boolean;
  /** Keep the active disk as a new snapshot, in the same edit. */
  readonly saveAs?: CreateOptions;
  /** Copy the snapshot's VM state behind the active disk too, as QEMU does offline. */
  readonly withVmState?: boolean;
}

/**
 * Plans to make a snapshot's disk the active one; its size too. A saved VM state stays with the
 * snapshot, from where QEMU loads it, unless `withVmState` is set.
 *
 * ```ts
 * const image = await openImage(device);
 * const golden = findSnapshot(image.snapshots, 'golden');
 * await executePlan(await planApply(image, golden, { discardChanges: true }));
 * ```
 *
 * @throws QsnapError SNAPSHOT_STALE, UNSAVED_CHANGES unless told what to do with them, BITMAPS_PRESENT,
 *   SIZE_DIFFERS_IN_V2, and what `planCreate` and `planEdit` throw.
 */
export async function planApply<Source extends BlockSource>(
  image: OpenImage<Source>,
  wanted: Snapshot,
  options: ApplyOptions = {},
  planning: Stoppable = {},
): Promise<EditPlan<Source>> {
  const snapshot = ownSnapshot(image, wanted);
  refuseBitmaps(image);
  refuseResizeInV2(image, snapshot);
  refuseOversized(image, snapshot);
  if (options.discardChanges !== true && options.saveAs === undefined) {
    const unsaved = await computeUnsavedChanges(image, planning);
    if (unsaved !== undefined) throw unsavedError(unsaved);
  }
  const { diskSizeBytes } = snapshot;
  const saved = options.saveAs === undefined ? [] : [newEntry(image, options.saveAs)];
  const saving = saved.map((entry) => `save the active disk as ${describeSnapshot(entry)} and `);
  const request: EditRequest = {
    operation: 'apply',
    summary: `${saving.join('')}apply snapshot ${describeSnapshot(snapshot)}`,
    created: saved.map(namesOf),
    l1sOf: [snapshot],
    next: ({ activeL1, snapshotL1s }) => {
      const whole = snapshotL1s.get(snapshot)!;
      const disk = diskRange(whole, diskSizeBytes, image.geometry);
      return {
        diskSizeBytes,
        activeL1: options.withVmState === true ? l1WithVmState(disk, whole) : disk,
        snapshots: [
          ...keptSnapshots(image),
          ...saved.map((entry) => ({ entry, l1: copiedL1(activeL1, image, options.saveAs) })),
        ],
      };
    },
  };
  return planEdit(image, request, planning);
}

/** QEMU refuses too: a bitmap would go on saying what changed in a disk that is no longer there. */
function refuseBitmaps(image: Image): void {
  if (image.bitmaps.length === 0) return;
  throw new QsnapError(
    'BITMAPS_PRESENT',
    `the image has ${counted(image.bitmaps.length, 'persistent bitmap')}, which applying a ` +
      'snapshot would make wrong',
    {
      structure: 'bitmaps extension',
      ...hinted('remove-bitmaps'),
    },
  );
}

/** Version 2 can't change its size while it has snapshots. */
function refuseResizeInV2(image: Image, snapshot: Snapshot): void {
  const { version, diskSizeBytes } = image.header;
  if (version === 3 || snapshot.diskSizeBytes === diskSizeBytes) return;
  throw new QsnapError(
    'SIZE_DIFFERS_IN_V2',
    `the snapshot's disk has ${snapshot.diskSizeBytes} bytes, the active one ${diskSizeBytes}, ` +
      'and a version 2 image can not change its size',
    {
      structure: 'snapshot table',
      at: snapshot.at,
      ...hinted('make-version-3'),
    },
  );
}

/** A disk size that needs a larger L1 than QEMU opens. The list shows it; nobody can use it. */
function refuseOversized(image: Image, snapshot: Snapshot): void {
  const entries = l1EntriesFor(snapshot.diskSizeBytes, image.geometry);
  const max = LIMITS.l1BytesMax.value / 8;
  if (entries <= max) return;
  throw new QsnapError(
    'SNAPSHOT_TABLE_INVALID',
    `the snapshot claims a disk of ${snapshot.diskSizeBytes} bytes, which no image can map`,
    {
      structure: 'snapshot table',
      at: snapshot.at,
      expected: `a size that an L1 of ${max} entries maps`,
      actual: `a size that takes ${entries} entries`,
    },
  );
}

function unsavedError(unsaved: UnsavedChanges): QsnapError {
  const { nearest, guestClusters, guestBytes, diskSizeDiffers } = unsaved;
  const what = [
    ...(guestClusters > 0
      ? [`${counted(guestClusters, 'guest cluster')} (${guestBytes} bytes)`]
      : []),
    ...(diskSizeDiffers ? ['its size'] : []),
  ].join(' and ');
  return new QsnapError(
    'UNSAVED_CHANGES',
    `the active disk differs from every snapshot; from the nearest, ` +
      `${describeSnapshot(nearest)}, in ${what}`,
    {
      actual: `${guestBytes} bytes that no snapshot holds`,
      ...hinted('save-or-discard-changes'),
    },
  );
}
