import { throwIfAborted } from '../base/abort.js';
import { openImage } from '../image/open.js';
import { watchedImage } from '../image/watched-image.js';
import type { BlockDevice, BlockSource } from '../io/device.js';
import { completeHeader } from '../edit/header/set-backing.js';
import { editWithinRoom, planWithinRoom } from '../edit/plan/within-room.js';
import { executePlan, type ExecuteOptions, type ExecuteReport } from '../edit/tx/execute.js';
import { bound } from '../edit/tx/plan.js';
import { executeStages } from '../edit/tx/execute-stages.js';
import { noWorseThan } from '../read/check/refuse-unsound.js';
import type { EditOptions, ProgressOptions } from './options.js';
import type { AnyEdit, MadeEdit, MakeEdit, Planner } from './planned-edit.js';

/** A plan that was carried out. */
export interface CarriedOut {
  readonly plan: AnyEdit;
  readonly report: ExecuteReport;
}

/** What makes the plan of an edit, as often as it has to be made. */
export function makerOf<Source extends BlockSource>(
  source: Source,
  planner: Planner,
  { signal, onProgress }: ProgressOptions,
): MakeEdit<Source> {
  return async (how) => {
    throwIfAborted(signal, 'the planning');
    onProgress?.({ phase: 'planning', done: 0, total: 1 });
    const image = await openImage(source, how);
    if (onProgress === undefined) return { image, plan: await planner(image, { signal }) };
    const seen = watchedImage(image, (done) => {
      onProgress({ phase: 'planning', done, total: 1 });
    });
    return { image, plan: bound(await planner(seen, { signal }), image) };
  };
}

/** Plans for the room that there is. @throws QsnapError what the planner throws. */
export function planOnly(
  source: BlockSource,
  planner: Planner,
  options: ProgressOptions,
): Promise<MadeEdit> {
  return planWithinRoom(source, makerOf(source, planner, options));
}

/**
 * Plans and carries out.
 *
 * @param made a plan that was made before; another one is made where the file turns out not to grow.
 * @throws QsnapError what the planner, `executePlan` and `executeStages` throw.
 */
export function carryOut(
  device: BlockDevice,
  planner: Planner,
  options: EditOptions,
  made?: MadeEdit<BlockDevice>,
): Promise<CarriedOut> {
  const { onProgress, signal, verify } = options;
  const make = makerOf(device, planner, options);
  const first: MakeEdit<BlockDevice> = (how) =>
    made !== undefined && how.mayGrow !== false ? Promise.resolve(made) : make(how);
  return editWithinRoom(device, first, async ({ plan }) => {
    const report = await execute(plan, {
      signal,
      verify: verify === true ? await asBefore(device, plan, options) : undefined,
      onProgress: (done, total) => onProgress?.({ phase: 'writing', done, total }),
    });
    await completeHeader(device, plan);
    return { plan, report };
  });
}

function execute(plan: AnyEdit<BlockDevice>, options: ExecuteOptions): Promise<ExecuteReport> {
  return 'stages' in plan ? executeStages(plan, options) : executePlan(plan, options);
}

/** Refuses a new state with a flaw more than the old one has. */
export async function asBefore(
  device: BlockDevice,
  { facts }: AnyEdit,
  { signal, onProgress }: ProgressOptions,
): Promise<ExecuteOptions['verify']> {
  return noWorseThan(device, (await device.sizeBytes()) + facts.growthBytes, {
    signal,
    onProgress: (done) => onProgress?.({ phase: 'checking', done, total: 1 }),
  });
}
