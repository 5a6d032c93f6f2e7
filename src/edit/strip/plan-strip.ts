import { counted } from '../../base/text.js';
import { MiB } from '../../base/units.js';
import { QsnapError } from '../../errors.js';
import type { OpenImage } from '../../image/image.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import type { BlockSource } from '../../io/device.js';
import type { Stoppable } from '../../io/stoppable.js';
import { entryWithoutVmState } from '../../qcow2/snapshot-table.js';
import { keptSnapshots, type NextSnapshot, type NextState } from '../plan/next-state.js';
import { planEdit } from '../plan/plan-edit.js';
import type { EditRequest, Survey } from '../plan/survey.js';
import { describeSnapshot } from '../../qcow2/describe-snapshot.js';
import type { NewL2Table } from '../tables/table-content.js';
import type { EditPlan } from '../tx/plan.js';
import { cutL1, type CutL1 } from './cut-l1.js';
import { disksToStrip, type StripOptions, type StrippedDisk } from './disks-to-strip.js';

/** Tables of snapshots that are held in memory at most. Ours: eight of the longest L1 tables that QEMU opens. */
const TABLE_BYTES_MAX = 256 * MiB;

/** A plan that takes VM state out. */
export interface StripPlan<Source extends BlockSource = BlockSource> extends EditPlan<Source> {
  /** The disks that lose some; none: the plan changes nothing. */
  readonly disks: readonly StrippedDisk[];
}

/**
 * Plans to take VM state out of snapshots and the active disk; guest data stays. Without `whole` only that goes which
 * no snapshot entry tells of, so that QEMU loads what it loaded before.
 *
 * ```ts
 * const image = await openImage(device);
 * await executePlan(await planStrip(image));
 * ```
 *
 * @throws QsnapError SNAPSHOT_STALE, VM_STATE_INVALID where nobody can tell which part QEMU loads,
 *   WRONG_PASSPHRASE, LIMIT_EXCEEDED, and what `planEdit` throws.
 */
export async function planStrip<Source extends BlockSource>(
  image: OpenImage<Source>,
  options: StripOptions = {},
  planning: Stoppable = {},
): Promise<StripPlan<Source>> {
  const snapshots = options.snapshots?.map((one) => ownSnapshot(image, one));
  const disks = await disksToStrip(image, { ...options, snapshots });
  const l1sOf = disks.flatMap(({ snapshot }) => (snapshot === undefined ? [] : [snapshot]));
  refuseTooMany(l1sOf.reduce((sum, { l1 }) => sum + l1.entries * 8, 0));
  const request: EditRequest = {
    operation: 'strip',
    summary: `take VM state out of ${namesOf(disks)}`,
    created: [],
    l1sOf,
    next: (survey) => stripped(image, survey, disks),
  };
  return { ...(await planEdit(image, request, planning)), disks };
}

function namesOf(disks: readonly StrippedDisk[]): string {
  if (disks.length === 0) return 'no disk';
  if (disks.length > 3) return counted(disks.length, 'disk');
  return disks
    .map(({ snapshot }) =>
      snapshot === undefined ? 'the active disk' : `snapshot ${describeSnapshot(snapshot)}`,
    )
    .join(', ');
}

async function stripped(
  image: OpenImage,
  { activeL1, snapshotL1s }: Survey,
  disks: readonly StrippedDisk[],
): Promise<NextState> {
  const { diskSizeBytes } = image.header;
  if (disks.length === 0) {
    return { diskSizeBytes, activeL1: undefined, snapshots: keptSnapshots(image) };
  }
  const snapshots: NextSnapshot[] = [...keptSnapshots(image)];
  const newL2Tables: NewL2Table[] = [];
  let newActiveL1 = activeL1;
  for (const { snapshot, keptBytes } of disks) {
    if (snapshot === undefined) {
      const cut = await cutL1(image, activeL1, { diskSizeBytes, keptBytes });
      newActiveL1 = cut?.words ?? activeL1;
      continue;
    }
    const { index } = snapshot;
    const of = { diskSizeBytes: snapshot.diskSizeBytes, keptBytes };
    const cut = await cutL1(image, snapshotL1s.get(snapshot)!, of);
    snapshots[index] = withCut(snapshots[index]!, keptBytes, cut);
    if (cut?.lastTable === undefined) continue;
    newL2Tables.push({ snapshot: index, ...cut.lastTable, runs: [] });
    refuseTooMany(newL2Tables.length * image.geometry.clusterBytes);
  }
  return { diskSizeBytes, activeL1: newActiveL1, snapshots, newL2Tables };
}

/** The entry tells of no VM state where none of it stays. */
function withCut(
  { entry, l1 }: NextSnapshot,
  keptBytes: number,
  cut: CutL1 | undefined,
): NextSnapshot {
  return {
    entry: keptBytes === 0 ? entryWithoutVmState(entry) : entry,
    l1: cut === undefined ? l1 : { kind: 'new', words: cut.words },
  };
}

function refuseTooMany(tableBytes: number): void {
  if (tableBytes <= TABLE_BYTES_MAX) return;
  throw new QsnapError('LIMIT_EXCEEDED', 'the tables of so many snapshots are too much at once', {
    structure: 'inactive L1',
    expected: `at most ${TABLE_BYTES_MAX} bytes of tables`,
    actual: `${tableBytes} bytes`,
    hint: 'take the VM state out of fewer snapshots at a time',
  });
}
