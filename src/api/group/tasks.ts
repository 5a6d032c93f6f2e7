import { assert } from '../../base/assert.js';
import type { Image } from '../../image/image.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import { editAllWithinRoom } from '../../edit/plan/within-room.js';
import type { ExecuteReport } from '../../edit/tx/execute.js';
import {
  executeTogether,
  ofFile,
  type Part,
  type TogetherRecord,
} from '../../edit/tx/execute-together.js';
import type { EditPlan } from '../../edit/tx/plan.js';
import { asBefore, makerOf, planOnly } from '../carry-out.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { EditOptions, ProgressOptions } from '../options.js';
import type { AnyEdit, MadeEdit, MakeEdit, Planner } from '../planned-edit.js';
import { findMarked, type SnapshotMark } from './request.js';

/** What is to be done to one image of a group. */
export interface Task<Source extends BlockSource = BlockSource> {
  readonly source: Source;
  readonly planner: Planner;
  /** The image's own snapshots that it is about. */
  readonly marks: readonly SnapshotMark[];
}

/** The plan of one image of a group, to look at. */
export interface PlannedImage {
  readonly file: string;
  /** As it is before the edit. */
  readonly image: Image;
  /** Its snapshots that are applied or deleted. */
  readonly chosen: readonly Snapshot[];
  readonly plan: EditPlan;
}

/** What was done to one image of a group. */
export interface DoneImage extends PlannedImage {
  readonly report: ExecuteReport;
}

/** Plans each for the room that there is. @throws QsnapError what the planners throw, with the image as `file`. */
export async function planTasks(
  tasks: readonly Task[],
  options: ProgressOptions,
): Promise<readonly PlannedImage[]> {
  const planned: PlannedImage[] = [];
  for (const task of tasks) {
    const { source, planner } = task;
    const made = await ofFile(source, () => planOnly(source, planner, options));
    planned.push(plannedImage(made, task));
  }
  return planned;
}

function plannedImage({ image, plan }: MadeEdit, { marks }: Task): PlannedImage {
  // They were found in this image when it was planned.
  const chosen = marks.map((mark) => findMarked(image, mark)!);
  return { file: image.source.label, image, chosen, plan: inOneSwitch(plan) };
}

/** Nothing that a group does takes stages. */
function inOneSwitch<Source extends BlockSource>(plan: AnyEdit<Source>): EditPlan<Source> {
  assert(!('stages' in plan), 'a group edit has one switch for each image');
  return plan;
}

/**
 * Plans and carries out, all or none.
 *
 * @param recordOf makes the record of these plans.
 * @throws QsnapError what the planners and `executeTogether` throw, with the image as `file`.
 */
export function carryOutTasks(
  tasks: readonly Task<BlockDevice>[],
  recordOf: (plans: readonly EditPlan[]) => TogetherRecord,
  options: EditOptions,
): Promise<readonly DoneImage[]> {
  const edits = tasks.map(({ source, planner }) => {
    const make = makerOf(source, planner, options);
    const named: MakeEdit<BlockDevice> = (how) => ofFile(source, () => make(how));
    return { source, make: named };
  });
  return editAllWithinRoom(edits, async (made) => {
    const { signal, onProgress } = options;
    const parts: Part[] = [];
    for (const { plan } of made) {
      const verify = options.verify === true ? await verifierOf(plan, options) : undefined;
      parts.push({ plan: inOneSwitch(plan), verify });
    }
    const reports = await executeTogether(parts, {
      signal,
      onProgress: (done, total) => onProgress?.({ phase: 'writing', done, total }),
      record: recordOf(made.map(({ plan }) => inOneSwitch(plan))),
    });
    return made.map((one, i) => ({ ...plannedImage(one, tasks[i]!), report: reports[i]! }));
  });
}

function verifierOf(plan: AnyEdit<BlockDevice>, options: EditOptions): ReturnType<typeof asBefore> {
  return ofFile(plan.source, () => asBefore(plan.source, plan, options));
}
