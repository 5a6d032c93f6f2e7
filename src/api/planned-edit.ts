import type { OpenImage } from '../image/image.js';
import type { OpenOptions } from '../image/open.js';
import type { BlockSource } from '../io/device.js';
import type { Stoppable } from '../io/stoppable.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { ExecuteReport } from '../edit/tx/execute.js';
import type { DescribedPlan, EditPlan } from '../edit/tx/plan.js';
import type { StagedEdit } from '../edit/tx/staged-plan.js';

/** A plan of either kind: in three steps with one switch, or in stages. */
export type AnyEdit<Source extends BlockSource = BlockSource> =
  EditPlan<Source> | StagedEdit<Source>;

/** What is planned of an image as it is. */
export type Planner = <Source extends BlockSource>(
  image: OpenImage<Source>,
  planning: Stoppable,
) => Promise<AnyEdit<Source>>;

/** The plan, and the image that it was made from. */
export interface MadeEdit<Source extends BlockSource = BlockSource> {
  readonly image: OpenImage<Source>;
  readonly plan: AnyEdit<Source>;
}

/** Opens the image anew as it is told to, and plans. */
export type MakeEdit<Source extends BlockSource> = (how: OpenOptions) => Promise<MadeEdit<Source>>;

/** An edit to look at before it is carried out by `image.execute`; nothing is written yet. */
export interface PlannedEdit extends Pick<
  DescribedPlan,
  'operation' | 'summary' | 'facts' | 'created'
> {
  /** Every write of it. */
  readonly plan: AnyEdit;
}

/** What an edit did. */
export interface DoneEdit extends Pick<DescribedPlan, 'operation' | 'summary' | 'facts'> {
  /** The snapshots that it added, as they are in `snapshots` now. */
  readonly created: readonly Snapshot[];
  /** Bytes that the host took back; 0 where it can't. */
  readonly punchedBytes: ExecuteReport['punchedBytes'];
  /** The length of the file now, in bytes. */
  readonly fileSizeBytes: ExecuteReport['fileSizeBytes'];
}

/** What an edit did that is about one snapshot. */
export interface DoneSnapshotEdit extends DoneEdit {
  /** The snapshot as it is in `snapshots` now. */
  readonly snapshot: Snapshot;
}

/** A plan as it is shown. */
export function plannedOf(plan: AnyEdit): PlannedEdit {
  const { operation, summary, facts, created } = plan;
  return { operation, summary, facts, created, plan };
}

/** What was done, with the snapshots of the image as it is now. */
export function doneOf(plan: AnyEdit, report: ExecuteReport, now: readonly Snapshot[]): DoneEdit {
  const { operation, summary, facts } = plan;
  // New entries come behind those that were there.
  const created = now.slice(now.length - plan.created.length);
  return { operation, summary, facts, created, ...report };
}
