import { QsnapError } from '../errors.js';
import type { BlockDevice } from '../io/device.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import { carryOut, planOnly } from './carry-out.js';
import type { ImageWork } from './image-work.js';
import type { EditOptions, ProgressOptions } from './options.js';
import {
  doneOf,
  plannedOf,
  type DoneEdit,
  type MadeEdit,
  type PlannedEdit,
  type Planner,
} from './planned-edit.js';

/** How an edit was planned, to plan it once more. */
interface Origin {
  readonly planner: Planner;
  readonly made: MadeEdit;
}

/** What an edit did, and the snapshots that there are now. */
interface Edited {
  readonly done: DoneEdit;
  readonly snapshots: readonly Snapshot[];
}

/** The edits of one image: each planned and carried out when its turn comes. */
export class Edits {
  readonly #work: ImageWork;
  readonly #origins = new WeakMap<PlannedEdit, Origin>();

  constructor(work: ImageWork) {
    this.#work = work;
  }

  plan(planner: Planner, options: ProgressOptions): Promise<PlannedEdit> {
    return this.#work.queued(options, async () => {
      const made = await planOnly(this.#work.source, planner, options);
      const planned = plannedOf(made.plan);
      this.#origins.set(planned, { planner, made });
      return planned;
    });
  }

  /** @param made a plan that was made before. */
  edit(planner: Planner, options: EditOptions, made?: MadeEdit): Promise<Edited> {
    const { device, current } = this.#work;
    return this.#work.queued(options, async () => {
      // A plan of this image was made on its source, which is the device.
      const on = made as MadeEdit<BlockDevice> | undefined;
      const { done, image } = await current.after(() => carryOut(device, planner, options, on));
      const { snapshots } = image;
      return { done: doneOf(done.plan, done.report, snapshots), snapshots };
    });
  }

  /** @throws QsnapError PLAN_STALE for a plan that was not made here. */
  async execute(planned: PlannedEdit, options: EditOptions): Promise<DoneEdit> {
    const origin = this.#origins.get(planned);
    if (origin === undefined) throw madeElsewhere(this.#work.source.label);
    return (await this.edit(origin.planner, options, origin.made)).done;
  }
}

/** Said of a plan that was not made by the object that is to carry it out. */
export function madeElsewhere(label: string): QsnapError {
  const reason = 'this image object did not plan it since the image was opened';
  return new QsnapError('PLAN_STALE', `the plan can't be carried out: ${reason}`, {
    file: label,
    expected:
      'an edit or a repair that this image object planned; `trim` carries out a trim, `scrub` a scrub',
  });
}
