import { sameBytes } from '../base/text.js';
import { isQsnapError, QsnapError, type ImageState } from '../errors.js';
import type { BlockDevice, BlockSource } from '../io/device.js';
import { beforeSwitch, readBackShadow, readBackSwitch } from './read-back.js';
import { shadowBatches } from './shadow-batches.js';
import { shadowWriteBytes, type ShadowWrite, type WritePlan } from './plan.js';

/** What a caller may ask of the execution. */
export interface ExecuteOptions {
  /** Called as stage 1 goes on: bytes written so far and in all. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  /**
   * Read back all that is written. It gets the image as the switch will make it, read from the
   * device, before the switch is sent: what it throws ends the edit in the old state.
   */
  readonly verify?: ((image: BlockSource) => Promise<void>) | undefined;
}

/** What the execution did beyond what the plan says. */
export interface ExecuteReport {
  /** Bytes that the host took back; 0 where it can't. */
  readonly punchedBytes: number;
  readonly fileSizeBytes: number;
}

/**
 * Carries a plan out: shadow, flush, switch, flush, tidy.
 *
 * @throws QsnapError with `imageState` in its details: `unchanged` or `old` before the switch,
 *   `old-or-new` when the switch was sent and not confirmed. IMAGE_CHANGED when the header is no
 *   longer the one that the plan was made from. VERIFY_FAILED and whatever `verify` throws.
 */
export async function executePlan(
  device: BlockDevice,
  plan: WritePlan,
  options: ExecuteOptions = {},
): Promise<ExecuteReport> {
  await inState('unchanged', () => refuseIfChanged(device, plan));
  await writeShadow(device, plan, options);
  await inState('old-or-new', async () => {
    await device.writeBatch([plan.switch]);
    await device.flush();
    if (options.verify !== undefined) await readBackSwitch(device, plan);
  });
  const punchedBytes = await inState('new', () => device.punchBatch(plan.punch));
  return { punchedBytes, fileSizeBytes: await inState('new', () => device.sizeBytes()) };
}

/** Stage 1. When it fails, the old state stays, and the file gets its old length back. */
async function writeShadow(
  device: BlockDevice,
  plan: WritePlan,
  options: ExecuteOptions,
): Promise<void> {
  const totalBytes = plan.shadow.reduce((sum, write) => sum + shadowWriteBytes(write), 0);
  let doneBytes = 0;
  const advance = (bytes: number): void => {
    doneBytes += bytes;
    options.onProgress?.(doneBytes, totalBytes);
  };
  try {
    for (const write of plan.shadow) await writeOne(device, write, advance);
    await device.flush();
    if (options.verify !== undefined) {
      await readBackShadow(device, plan);
      await options.verify(await beforeSwitch(device, plan));
    }
    await refuseIfChanged(device, plan);
  } catch (error) {
    await abandonShadow(device, plan);
    throw withState(withBytesNeeded(error, totalBytes), 'old');
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

async function refuseIfChanged(device: BlockDevice, plan: WritePlan): Promise<void> {
  const now = new Uint8Array(plan.headerSector.length);
  await device.readBatch([{ at: 0, into: now }]);
  if (sameBytes(now, plan.headerSector)) return;
  throw new QsnapError('IMAGE_CHANGED', 'the image was changed by someone else meanwhile', {
    structure: 'header',
    at: 0,
    hint: 'nobody else may use an image while it is edited; look at it again and start over',
  });
}

/**
 * Takes back what stage 1 wrote as far as it can: those bytes lie in clusters that are free. Where
 * somebody else has changed the image, what lies past the old end may be theirs, and stays.
 */
async function abandonShadow(device: BlockDevice, plan: WritePlan): Promise<void> {
  try {
    await refuseIfChanged(device, plan);
    const size = await device.sizeBytes();
    if (device.growable && size > plan.fileSizeBytes) await device.truncate(plan.fileSizeBytes);
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
export async function inState<T>(state: ImageState, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw withState(error, state);
  }
}

function withState(error: unknown, imageState: ImageState): unknown {
  return isQsnapError(error) ? error.with({ imageState }) : error;
}
