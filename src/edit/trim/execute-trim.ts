import { throwIfAborted } from '../../base/abort.js';
import type { BlockDevice, ByteRange } from '../../io/device.js';
import { inState, type ExecuteOptions, type ExecuteReport } from '../tx/execute.js';
import { makeDurable } from '../tx/make-durable.js';
import { useUp } from '../tx/use-up.js';
import type { TrimPlan } from './plan-trim.js';

/** Bytes and ranges that are given back between two looks at the signal. */
const BATCH_BYTES = 1024 ** 3;
const BATCH_RANGES = 1024;

/**
 * Gives back to the host what a plan names, and cuts the file. Nothing refers to these bytes, so the image says the
 * same at every moment.
 *
 * ```ts
 * const { fileSizeBytes } = await executeTrim(await planTrim(await openImage(device)));
 * ```
 *
 * @throws QsnapError PLAN_STALE, IMAGE_CHANGED as `executePlan`; WRITE_FAILED, ABORTED. The image is always `unchanged`.
 */
export async function executeTrim(
  plan: TrimPlan<BlockDevice>,
  { onProgress, signal }: Pick<ExecuteOptions, 'onProgress' | 'signal'> = {},
): Promise<ExecuteReport> {
  const { source: device, punch, fileSizeBytes, endBytes } = plan;
  return inState('unchanged', async () => {
    useUp(plan);
    throwIfAborted(signal, 'the trim');
    if (punch.length === 0 && endBytes === fileSizeBytes) return { punchedBytes: 0, fileSizeBytes };
    await makeDurable(device, plan);
    const totalBytes = punch.reduce((sum, { length }) => sum + length, 0);
    let doneBytes = 0;
    let punchedBytes = 0;
    for (const ranges of batchesOf(punch)) {
      throwIfAborted(signal, 'the trim');
      punchedBytes += await device.punchBatch(ranges);
      doneBytes += ranges.reduce((sum, { length }) => sum + length, 0);
      onProgress?.(doneBytes, totalBytes);
    }
    if (endBytes < fileSizeBytes) await device.truncate(endBytes);
    await device.flush();
    return { punchedBytes, fileSizeBytes: endBytes };
  });
}

function* batchesOf(ranges: readonly ByteRange[]): Generator<readonly ByteRange[]> {
  let batch: ByteRange[] = [];
  let bytes = 0;
  for (const range of ranges) {
    batch.push(range);
    bytes += range.length;
    if (bytes < BATCH_BYTES && batch.length < BATCH_RANGES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
