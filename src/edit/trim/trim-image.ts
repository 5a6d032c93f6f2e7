import { counted } from '../../base/text.js';
import { KiB, MiB } from '../../base/units.js';
import { isQsnapError } from '../../errors.js';
import { throwIfAborted } from '../../base/abort.js';
import { openImage } from '../../image/open.js';
import type { BlockDevice } from '../../io/device.js';
import { noWorseThan } from '../../read/check/refuse-unsound.js';
import { editWithinRoom } from '../plan/within-room.js';
import { executePlan, inState } from '../tx/execute.js';
import { executeTrim } from './execute-trim.js';
import { planRelocation, refuseFixedPlaces } from './plan-relocation.js';
import { planTrim, type TrimPlan } from './plan-trim.js';

/** Bytes that one step moves at most. More makes fewer passes over the tables, and more to do again after a cut. Ours. */
const STEP_BYTES = 512 * MiB;

/** What a caller may ask of a trim. */
export interface TrimOptions {
  /** Move what lies behind free clusters to the front, so that the file gets shorter. */
  readonly relocate?: boolean | undefined;
  /** How many bytes one step moves at most. */
  readonly stepBytes?: number | undefined;
  /** Read back and check what is written before it counts. */
  readonly verify?: boolean | undefined;
  /** Ends the trim between two steps, or in one that has not switched yet. What was done until then stays. */
  readonly signal?: AbortSignal | undefined;
  /** What is going on, and how much of it is done. Of `moving` nobody knows the end: each step has its own. */
  readonly onProgress?: (phase: 'trimming' | 'moving', done: number, total: number) => void;
}

/** What a trim did, in bytes. */
export interface TrimReport {
  readonly fileSizeBefore: number;
  readonly fileSizeBytes: number;
  /** What the file took on its medium before and after; undefined where nobody knows. */
  readonly allocatedBefore: number | undefined;
  readonly allocatedBytes: number | undefined;
  /** Guest data and VM states that were moved; tables that were written anew for that are not counted. */
  readonly movedBytes: number;
  /** How often the image was switched to a new state. */
  readonly steps: number;
  /** In free clusters before the last one that is in use. */
  readonly freeBytes: number;
  /** Clusters that count as used and that nothing refers to: `repair` frees them. */
  readonly leakedClusters: number;
}

/**
 * Gives all that is free in an image back to the host and cuts the file behind the last cluster that is in use. With
 * `relocate` the last clusters are moved into free ones in front before that, step by step; each step is an edit like
 * others, so that a cut leaves the state before it or after it, and another trim goes on from there.
 *
 * ```ts
 * const { fileSizeBefore, fileSizeBytes } = await trimImage(device, { relocate: true });
 * ```
 *
 * @throws QsnapError what `planTrim`, `planRelocation`, `executeTrim` and `executePlan` throw.
 */
export async function trimImage(
  device: BlockDevice,
  options: TrimOptions = {},
): Promise<TrimReport> {
  if (options.relocate === true) refuseFixedPlaces(await openImage(device));
  const fileSizeBefore = await device.sizeBytes();
  const allocatedBefore = await device.allocatedBytes?.();
  const { verify, signal } = options;
  const verified = verify === true ? await noWorseThan(device, fileSizeBefore, { signal }) : null;
  let plan = await trim(device, options);
  const moved =
    options.relocate === true ? await moveAll(device, options) : { movedBytes: 0, steps: 0 };
  if (moved.steps > 0) plan = await trim(device, options);
  await inState('new', () => verified?.(device));
  return {
    ...{ fileSizeBefore, fileSizeBytes: await device.sizeBytes() },
    ...{ allocatedBefore, allocatedBytes: await device.allocatedBytes?.() },
    ...moved,
    freeBytes: plan.facts.freeBytes,
    leakedClusters: plan.facts.leakedClusters,
  };
}

/** Step by step, with smaller ones where the host has no room for one. */
async function moveAll(
  device: BlockDevice,
  options: TrimOptions,
): Promise<Pick<TrimReport, 'movedBytes' | 'steps'>> {
  let { stepBytes = STEP_BYTES } = options;
  let [movedBytes, steps] = [0, 0];
  for (;;) {
    try {
      throwIfAborted(options.signal, 'the trim');
      const moved = await moveStep(device, { ...options, stepBytes }, movedBytes);
      if (moved === undefined) return { movedBytes, steps };
      movedBytes += moved;
      steps += 1;
    } catch (error) {
      if (!isQsnapError(error) || !ENDS_SOUND.has(error.code)) throw error;
      // The new places may have taken room of the host. The first error is the one to tell.
      await trim(device, {}).catch(() => undefined);
      stepBytes = Math.floor(stepBytes / 8);
      if (error.code === 'NO_SPACE' && stepBytes >= LEAST_STEP_BYTES) continue;
      throw steps === 0 ? error : error.with({ imageState: 'new', hint: doneText(steps) });
    }
  }
}

/** Errors of a step that leave the state before it. */
const ENDS_SOUND: ReadonlySet<string> = new Set(['NO_SPACE', 'ABORTED']);
const LEAST_STEP_BYTES = 64 * KiB;

function doneText(steps: number): string {
  return `${counted(steps, 'step')} came before that and last; another trim goes on from there`;
}

async function trim(device: BlockDevice, { signal, onProgress }: TrimOptions): Promise<TrimPlan> {
  const plan = await planTrim(await openImage(device), { signal });
  await executeTrim(plan, {
    signal,
    onProgress: (done, total) => onProgress?.('trimming', done, total),
  });
  return plan;
}

/** @returns how many bytes of data it moved; undefined: nothing is left to move. */
function moveStep(
  device: BlockDevice,
  { stepBytes = STEP_BYTES, verify, signal, onProgress }: TrimOptions,
  movedBefore: number,
): Promise<number | undefined> {
  return editWithinRoom(
    device,
    async (how) => ({
      plan: await planRelocation(await openImage(device, how), stepBytes, { signal }),
    }),
    async ({ plan }) => {
      if (plan === undefined) return undefined;
      const sizeBytes = (await device.sizeBytes()) + plan.facts.growthBytes;
      await executePlan(plan, {
        signal,
        verify: verify === true ? await noWorseThan(device, sizeBytes, { signal }) : undefined,
        onProgress: (done, total) =>
          onProgress?.('moving', movedBefore + done, movedBefore + total),
      });
      return plan.movedBytes;
    },
  );
}
