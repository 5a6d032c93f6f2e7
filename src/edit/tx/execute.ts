import { throwIfAborted } from '../../base/abort.js';
import { isQsnapError, type ImageState } from '../../errors.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import { EarlyFlushes } from '../../io/early-flushes.js';
import { makeDurable } from './make-durable.js';
import { beforeSwitch, readBackSwitch, readBackWrites } from './read-back.js';
import { hasItsHeader, refuseIfChanged } from './refuse-changed.js';
import { shadowBatches } from './shadow-batches.js';
import { useUp } from './use-up.js';
import { assertSafe } from './rules.js';
import {
  shadowBytesOf,
  sizeAfterShadow,
  type Bound,
  type ShadowWrite,
  type WritePlan,
} from './plan.js';

/** What a caller may ask of the execution. */
export interface ExecuteOptions {
  /** Called as stage 1 goes on: bytes written so far and in all. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /**
   * With it, all writes are read back. Before the switch is sent, `verify` gets the image as the switch will make it,
   * read from the device. If it throws, the edit ends in the old state.
   */
  readonly verify?: ((image: BlockSource) => Promise<void>) | undefined;
  /**
   * Ends the edit in the old state, with the file as long as it was, as long as the switch is not sent. From
   * then on the edit is finished first.
   */
  readonly signal?: AbortSignal | undefined;
}

/** What the execution did beyond what the plan says. */
export interface ExecuteReport {
  /** Bytes that the host took back; 0 where it can't. */
  readonly punchedBytes: number;
  readonly fileSizeBytes: number;
}

/**
 * Carries out a plan on the device that it was made on: shadow, flush, switch, flush, tidy. Even if it fails, neither
 * this plan nor an older one can be carried out afterwards.
 *
 * ```ts
 * const image = await openImage(device);
 * const plan = await planRename(image, findSnapshot(image.snapshots, 'golden'), 'release 1.2');
 * const { punchedBytes, fileSizeBytes } = await executePlan(plan);
 * ```
 *
 * @throws QsnapError PLAN_STALE where the plan is not for the device as it is. ABORTED. INTERNAL where the plan
 *   breaks the rules of `rules.ts`. Otherwise with `imageState` in its details: `unchanged` or `old` before the switch,
 *   `old-or-new` when the switch was sent and not confirmed. IMAGE_CHANGED when the header or the size
 *   is no longer the one that the plan was made from, or the name leads to another file. VERIFY_FAILED and whatever `verify` throws.
 */
export async function executePlan(
  plan: Executable,
  options: ExecuteOptions = {},
): Promise<ExecuteReport> {
  await begin(plan, options);
  await writeShadow(plan, options);
  await sendSwitch(plan, options);
  return tidy(plan);
}

/** A plan that can be carried out. */
export type Executable = WritePlan & Bound<BlockDevice>;

/** Uses the plan up, looks whether the image still is what it was made from, and makes that durable. */
export async function begin(plan: Executable, { signal }: ExecuteOptions): Promise<void> {
  try {
    useUp(plan);
    assertSafe(plan);
    throwIfAborted(signal, 'the edit');
    await makeDurable(plan.source, plan);
  } catch (error) {
    throw withState(withBytesNeeded(error, shadowBytesOf(plan.shadow)), 'unchanged');
  }
}

/** Stage 1, up to the last look before the switch. When it fails, it is taken back. */
export async function writeShadow(plan: Executable, options: ExecuteOptions): Promise<void> {
  const device = plan.source;
  const totalBytes = shadowBytesOf(plan.shadow);
  let doneBytes = 0;
  const advance = (bytes: number): void => {
    doneBytes += bytes;
    options.onProgress?.(doneBytes, totalBytes);
  };
  try {
    await writeAll(device, plan.shadow, advance, options.signal);
    await device.flush();
    if (options.verify !== undefined) {
      await readBackWrites(device, plan.shadow);
      await options.verify(await beforeSwitch(device, plan));
    }
    await refuseIfChanged(device, plan, sizeAfterShadow(plan));
    throwIfAborted(options.signal, 'the edit');
  } catch (error) {
    await abandonShadow(plan);
    throw withState(withBytesNeeded(error, totalBytes), 'old');
  }
}

/** Stage 2. */
export function sendSwitch(plan: Executable, { verify }: ExecuteOptions): Promise<void> {
  const device = plan.source;
  return inState('old-or-new', async () => {
    await device.writeBatch([plan.switch]);
    await device.flush();
    if (verify !== undefined) await readBackSwitch(device, plan);
  });
}

/** Stage 3. */
export async function tidy({ source, punch }: Executable): Promise<ExecuteReport> {
  const punchedBytes = await inState('new', () => source.punchBatch(punch));
  return { punchedBytes, fileSizeBytes: await inState('new', () => source.sizeBytes()) };
}

/**
 * Writes everything, in no order that anybody may rely on.
 *
 * @throws QsnapError ABORTED between two batches, and what the device throws.
 */
export async function writeAll(
  device: BlockDevice,
  writes: readonly ShadowWrite[],
  advance: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const early = new EarlyFlushes(device);
  try {
    for (const write of writes) {
      await writeOne(device, write, (bytes) => {
        advance(bytes);
        early.afterWriting(bytes);
        throwIfAborted(signal, 'the edit');
      });
    }
  } finally {
    // After a flush that failed writes are refused: the flush is what went wrong.
    await early.done();
  }
}

async function writeOne(
  device: BlockDevice,
  write: ShadowWrite,
  advance: (bytes: number) => void,
): Promise<void> {
  let written: Promise<void> = Promise.resolve();
  try {
    for await (const batch of shadowBatches(device, write)) {
      // One batch is made while the one before is on its way to the disk.
      await written;
      written = device.writeBatch(batch).then(() => {
        advance(batch.reduce((sum, { bytes }) => sum + bytes.length, 0));
      });
      // The error is taken by the `await` of the next round or below, never lost.
      written.catch(() => undefined);
    }
  } catch (error) {
    await written.catch(() => undefined);
    throw error;
  }
  await written;
}

/**
 * Takes back what stage 1 wrote as far as it can: those bytes lie in clusters that are free. Where
 * somebody else has changed the image, what lies past the old end may be theirs, and stays.
 */
export async function abandonShadow(plan: Executable): Promise<void> {
  const device = plan.source;
  try {
    const size = await device.sizeBytes();
    const isOurs = size > plan.fileSizeBytes && size <= sizeAfterShadow(plan);
    if (!device.growable || !isOurs || !(await hasItsHeader(device, plan))) return;
    await device.truncate(plan.fileSizeBytes);
  } catch {
    // The first error is the one to report; a longer file is the old state all the same.
  }
}

/** How much room the edit takes, where the medium did not say what is missing. */
function withBytesNeeded(error: unknown, bytesNeeded: number): unknown {
  if (!isQsnapError(error) || error.code !== 'NO_SPACE') return error;
  if (error.details.bytesNeeded !== undefined) return error;
  return error.with({ bytesNeeded, hint: `the edit needs ${bytesNeeded} bytes of free room` });
}

/** Says in what state an I/O error that the action ends with leaves the image. */
export async function inState<T>(state: ImageState, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw withState(error, state);
  }
}

function withState(error: unknown, imageState: ImageState): unknown {
  return isQsnapError(error) ? error.with({ imageState }) : error;
}
