import type { NextSnapshot } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import { utf8Text } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { Image } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import { readTable } from '../../refs/tables.js';
import { l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import { LIMITS } from '../../qcow2/limits.js';
import { conformingEntry, extraDataOf, type SnapshotDate } from '../../qcow2/snapshot-table.js';
import type { EditPlan } from '../tx/plan.js';
import { describeSnapshot } from './find.js';
import { checkedDate, newId, newName, type NameRules } from './names.js';

/** What a new snapshot is to be called and dated. */
export interface CreateOptions extends NameRules {
  readonly name: string | Uint8Array;
  /** Time of the snapshot; it comes from outside, so that the same input gives the same bytes. */
  readonly date: SnapshotDate;
  /** Default: one above the highest number in use, as QEMU chooses. */
  readonly id?: string;
  /** Instruction count to record; default: disabled. */
  readonly icount?: bigint;
}

/**
 * Plans a snapshot of the active disk. VM state that lies behind the active disk is not part of it.
 *
 * @throws QsnapError NAME_INVALID, NAME_IN_USE, ID_INVALID, ID_IN_USE, DATE_INVALID,
 *   TOO_MANY_SNAPSHOTS and what `planEdit` throws.
 */
export async function planCreate<Source extends BlockSource>(
  image: Image<Source>,
  options: CreateOptions,
  planning: Stoppable = {},
): Promise<EditPlan<Source>> {
  const activeL1 = await readActiveL1(image);
  const created = newSnapshot(image, options, activeL1);
  return planEdit(
    image,
    {
      diskSizeBytes: image.header.diskSizeBytes,
      activeL1,
      snapshots: [...keptSnapshots(image), created],
    },
    {
      operation: 'create',
      summary: `create snapshot ${describeSnapshot(created.entry)}`,
      created: [namesOf(created)],
    },
    planning,
  );
}

/** The active L1's entries as host-order words. */
export async function readActiveL1(image: Image): Promise<Uint32Array> {
  const { at, entries } = image.header.activeL1;
  return readTable(image.source, at, entries);
}

/** All snapshots of the image as they are, with the entries that a rewritten table must hold. */
export function keptSnapshots(image: Image): readonly NextSnapshot[] {
  return image.snapshots.map((snapshot) => ({
    entry: conformingEntry(snapshot, image.header.version),
    l1: { kind: 'kept', ref: snapshot.l1, index: snapshot.index },
  }));
}

/** A new snapshot of the active disk. */
export function newSnapshot(
  image: Image,
  options: CreateOptions,
  activeL1: Uint32Array,
): NextSnapshot {
  const { snapshots, header, geometry } = image;
  const max = LIMITS.snapshotsMax.value;
  if (snapshots.length >= max) {
    throw new QsnapError('TOO_MANY_SNAPSHOTS', `the image has ${snapshots.length} snapshots`, {
      expected: `at most ${max}`,
      hint: 'delete some first',
    });
  }
  return {
    entry: {
      nameBytes: newName(options.name, snapshots, options),
      idBytes: newId(options.id, snapshots),
      date: checkedDate(options.date),
      vmClockNanoseconds: 0n,
      vmStateBytes32: 0,
      extraData: extraDataOf(header.diskSizeBytes, options.icount),
    },
    l1: { kind: 'new', words: diskRange(activeL1, header.diskSizeBytes, geometry) },
  };
}

/** The names of a planned snapshot, for reports. */
export function namesOf(created: NextSnapshot): { id: string; name: string } {
  return { id: utf8Text(created.entry.idBytes), name: utf8Text(created.entry.nameBytes) };
}

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
