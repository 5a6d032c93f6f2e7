import { isQsnapError } from '../errors.js';
import { editWithinRoom, planWithinRoom } from '../edit/plan/within-room.js';
import { proposeRepair, type ProposedRepair } from '../edit/repair/propose.js';
import { executePlan, type ExecuteReport } from '../edit/tx/execute.js';
import { refuseStale } from '../edit/tx/use-up.js';
import type { OpenOptions } from '../image/open.js';
import type { BlockDevice, BlockSource } from '../io/device.js';
import { checkImage } from '../read/check/check-image.js';
import { refuseUnsound } from '../read/check/refuse-unsound.js';
import type { CheckReport } from '../read/check/report.js';
import { doneRepairOf, type DoneRepair } from './done-repair.js';
import { madeElsewhere } from './edits.js';
import type { ImageWork } from './image-work.js';
import type { EditOptions, ProgressOptions } from './options.js';
import type { Choose } from './repair-choice.js';

type Proposed<Source extends BlockSource> = (how: OpenOptions) => Promise<ProposedRepair<Source>>;

/** A repair that was carried out; no report: nothing had to be written. */
interface Repaired {
  readonly proposal: ProposedRepair;
  readonly report: ExecuteReport | undefined;
}

/** The repairs of one image: each planned and carried out when its turn comes. */
export class Repairs {
  readonly #work: ImageWork;
  readonly #origins = new WeakMap<ProposedRepair, Choose>();

  constructor(work: ImageWork) {
    this.#work = work;
  }

  plan(choose: Choose, options: ProgressOptions): Promise<ProposedRepair> {
    const { source } = this.#work;
    return this.#work.queued(options, async () => {
      const proposal = await planWithinRoom(source, proposing(source, choose, options));
      this.#origins.set(proposal, choose);
      return proposal;
    });
  }

  /** @param made a proposal that was made before. */
  repair(choose: Choose, options: EditOptions, made?: ProposedRepair): Promise<DoneRepair> {
    const { device, current } = this.#work;
    return this.#work.queued(options, async () => {
      // A proposal of this image was made on its source, which is the device.
      const on = made as ProposedRepair<BlockDevice> | undefined;
      const { done } = await current.after(() => carryOut(device, choose, options, on));
      const { proposal, report } = done;
      const after =
        report === undefined ? proposal.before : await checkAgain(device, proposal, options);
      return doneRepairOf(proposal, after, report, await device.sizeBytes());
    });
  }

  /** @throws QsnapError PLAN_STALE for a proposal that was not made here. */
  async execute(proposal: ProposedRepair, options: EditOptions): Promise<DoneRepair> {
    const choose = this.#origins.get(proposal);
    if (choose === undefined) throw madeElsewhere(this.#work.source.label);
    return this.repair(choose, options, proposal);
  }
}

function proposing<Source extends BlockSource>(
  source: Source,
  choose: Choose,
  { signal, onProgress }: ProgressOptions,
): Proposed<Source> {
  return (how) => {
    onProgress?.({ phase: 'planning', done: 0, total: 1 });
    return proposeRepair(source, choose, {
      ...how,
      signal,
      onProgress: (done) => onProgress?.({ phase: 'planning', done, total: 1 }),
    });
  };
}

function carryOut(
  device: BlockDevice,
  choose: Choose,
  options: EditOptions,
  made: ProposedRepair<BlockDevice> | undefined,
): Promise<Repaired> {
  const { onProgress, signal, verify } = options;
  const propose = proposing(device, choose, options);
  const first: Proposed<BlockDevice> = (how) =>
    made !== undefined && how.mayGrow !== false ? Promise.resolve(made) : propose(how);
  return editWithinRoom(device, first, async (proposal) => {
    const { plan, after, image } = proposal;
    if (plan === undefined) {
      refuseStale({ source: device, editsBefore: image.editsBefore });
      return { proposal, report: undefined };
    }
    const report = await executePlan(plan, {
      signal,
      verify: verify === true ? (image) => refuseUnsound(image, after.totals) : undefined,
      onProgress: (done, total) => onProgress?.({ phase: 'writing', done, total }),
    });
    return { proposal, report };
  });
}

/** What was foretold is looked for in the image itself, unless a signal ends that. */
async function checkAgain(
  device: BlockDevice,
  { after }: ProposedRepair,
  { signal, onProgress }: ProgressOptions,
): Promise<CheckReport> {
  try {
    return await checkImage(device, {
      signal,
      onProgress: (done) => onProgress?.({ phase: 'checking', done, total: 1 }),
    });
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    if (error.code === 'ABORTED') return after;
    throw error.with({ imageState: 'new' });
  }
}
