import { keptSnapshots, type NextSnapshot } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import type { EditRequest } from '../plan/survey.js';
import { utf8Text } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { Image, OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import { l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import { extraDataOf, type SnapshotDate } from '../../qcow2/snapshot-table.js';
import type { EditPlan } from '../tx/plan.js';
import { describeSnapshot } from '../../qcow2/describe-snapshot.js';
import { checkedDate, newId, newName, type NameRules } from './names.js';

type NewEntry = NextSnapshot['entry'];

/** What a new snapshot is to be called and dated. */
export interface CreateOptions extends NameRules {
  readonly name: string | Uint8Array;
  /** Time of the snapshot; it comes from outside, so that the same input gives the same bytes. */
  readonly date: SnapshotDate;
  /** Default: one above the highest number in use, as QEMU chooses. */
  readonly id?: string;
  /** Instruction count to record; default: disabled. */
  readonly icount?: bigint;
  /** Copy VM state behind the active disk too, as QEMU does offline; by default it is not part of the snapshot. */
  readonly withVmState?: boolean;
}

/**
 * Plans a snapshot of the active disk.
 *
 * ```ts
 * const date = { seconds: Math.floor(Date.now() / 1000), nanoseconds: 0 };
 * const plan = await planCreate(await openImage(device), { name: 'before upgrade', date });
 * console.log(plan.summary, plan.facts.growthBytes);
 * await executePlan(plan);
 * ```
 *
 * @throws QsnapError NAME_INVALID, NAME_IN_USE, ID_INVALID, ID_IN_USE, DATE_INVALID,
 *   TOO_MANY_SNAPSHOTS and what `planEdit` throws.
 */
export async function planCreate<Source extends BlockSource>(
  image: OpenImage<Source>,
  options: CreateOptions,
  planning: Stoppable = {},
): Promise<EditPlan<Source>> {
  const { diskSizeBytes } = image.header;
  const entry = newEntry(image, options);
  const request: EditRequest = {
    operation: 'create',
    summary: `create snapshot ${describeSnapshot(entry)}`,
    created: [namesOf(entry)],
    next: ({ activeL1 }) => ({
      diskSizeBytes,
      activeL1,
      snapshots: [...keptSnapshots(image), { entry, l1: copiedL1(activeL1, image, options) }],
    }),
  };
  return planEdit(image, request, planning);
}

/** The entry of a new snapshot of the active disk. */
export function newEntry({ snapshots, header }: Image, options: CreateOptions): NewEntry {
  const max = LIMITS.snapshotsMax.value;
  if (snapshots.length >= max) {
    throw new QsnapError('TOO_MANY_SNAPSHOTS', `the image has ${snapshots.length} snapshots`, {
      expected: `at most ${max}`,
      hint: 'delete some first',
    });
  }
  return {
    nameBytes: newName(options.name, snapshots, options),
    idBytes: newId(options.id, snapshots),
    date: checkedDate(options.date),
    vmClockNanoseconds: 0n,
    vmStateBytes32: 0,
    extraData: extraDataOf(header.diskSizeBytes, options.icount),
  };
}

/** The names of a planned snapshot, for reports. */
export function namesOf({ idBytes, nameBytes }: NewEntry): { id: string; name: string } {
  return { id: utf8Text(idBytes), name: utf8Text(nameBytes) };
}

/** The L1 of a new snapshot of the active disk. */
export function copiedL1(
  activeL1: Uint32Array,
  { header, geometry }: Image,
  { withVmState }: Pick<CreateOptions, 'withVmState'> = {},
): NextSnapshot['l1'] {
  const disk = diskRange(activeL1, header.diskSizeBytes, geometry);
  return { kind: 'new', words: withVmState === true ? l1WithVmState(disk, activeL1) : disk };
}

/** An L1 that maps the disk, and the VM state behind it where there is any. */
export const l1WithVmState = (disk: Uint32Array, whole: Uint32Array): Uint32Array =>
  whole.length > disk.length ? whole.slice() : disk;

/**
 * The L1 entries that map a disk of `diskSizeBytes`: VM state behind them is left out, missing
 * entries are unallocated. At least one entry, since an empty table would lie nowhere.
 */
export function diskRange(
  words: Uint32Array,
  diskSizeBytes: number,
  geometry: Geometry,
): Uint32Array {
  const range = new Uint32Array(Math.max(1, l1EntriesFor(diskSizeBytes, geometry)) * 2);
  range.set(words.subarray(0, l1EntriesFor(diskSizeBytes, geometry) * 2));
  return range;
}
