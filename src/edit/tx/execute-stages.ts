import { hinted } from '../../base/hints.js';
import { isQsnapError, type ImageState } from '../../errors.js';
import { throwIfAborted } from '../../base/abort.js';
import type { BlockDevice } from '../../io/device.js';
import { inState, writeAll, type ExecuteOptions, type ExecuteReport } from './execute.js';
import { shadowWriteBytes, type Bound, type LiteralWrite, type ShadowWrite } from './plan.js';
import { makeDurable } from './make-durable.js';
import { readBackWrites } from './read-back.js';
import { refuseIfChanged } from './refuse-changed.js';
import { useUp } from './use-up.js';
import { assertSafeStages } from './rules.js';
import {
  isHeaderWrite,
  previewStages,
  sizeAfter,
  type Stage,
  type StagedPlan,
} from './staged-plan.js';

/**
 * Carries out a staged plan on the device that it was made on, with a flush after each stage. With `verify` the
 * resulting image is checked before anything of the plan is written, and each stage is read back.
 *
 * ```ts
 * const image = await openImage(device);
 * const edit = await planDeleteInPlace(image, [findSnapshot(image.snapshots, 'golden')]);
 * await executeStages(edit, { onProgress: (done, total) => console.log(done / total) });
 * ```
 *
 * @throws QsnapError as `executePlan`, with one of these as `imageState`:
 *   - `unchanged` or `old`: the new snapshot list is not sent yet; with `old` the place for it may be leaked;
 *   - `old-or-new`: it is sent, and not confirmed;
 *   - `new-list`: it is on the medium; refcounts may be too high, and COPIED flags missing;
 *   - `new`: all is written; an error came while free clusters went back to the host.
 */
export async function executeStages(
  plan: StagedPlan & Bound<BlockDevice>,
  options: ExecuteOptions = {},
): Promise<ExecuteReport> {
  const device = plan.source;
  const asRead = { headerSector: plan.headerSector, sizeBytes: plan.fileSizeBytes };
  await inState('unchanged', async () => {
    useUp(plan);
    assertSafeStages(plan);
    await makeDurable(device, plan);
    await options.verify?.(previewStages(device, plan));
    throwIfAborted(options.signal, 'the edit');
  });
  const advance = progressOf(plan, options);
  // A shorter list has a place before it is sent, and a refcount for it.
  const isPrepared = plan.unlists > 0;
  let now = asRead;
  for (const [index, stage] of plan.stages.entries()) {
    const before = index <= plan.unlists ? 'old' : 'new-list';
    const during = index === plan.unlists ? 'old-or-new' : before;
    const expected = now;
    if (stage.writes.some(isHeaderWrite)) {
      await inStage(before, isPrepared, () =>
        refuseIfChanged(device, expected, expected.sizeBytes),
      );
    }
    const stops = index < plan.unlists ? options.signal : undefined;
    await inStage(during, isPrepared, () =>
      runStage(device, stage, { ...options, signal: stops }, advance),
    );
    await inStage('old', isPrepared, () => {
      throwIfAborted(stops, 'the edit');
    });
    now = after(stage, now);
  }
  const punchedBytes = await inState('new', () => device.punchBatch(plan.punch));
  return { punchedBytes, fileSizeBytes: await inState('new', () => device.sizeBytes()) };
}

/** What fails after the new list leaves refcounts too high; what fails between its place and it leaks that. */
async function inStage(
  state: ImageState,
  isPrepared: boolean,
  action: () => void | Promise<void>,
): Promise<void> {
  try {
    await inState(state, action);
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    if (state === 'new-list') throw error.with(hinted('finish-refcounts'));
    throw isPrepared || state === 'old-or-new' ? error.with(hinted('leaks-left')) : error;
  }
}

async function runStage(
  device: BlockDevice,
  { writes }: Stage,
  { verify, signal }: ExecuteOptions,
  advance: (bytes: number) => void,
): Promise<void> {
  await writeAll(device, writes, advance, signal);
  await device.flush();
  if (verify !== undefined) await readBackWrites(device, writes);
}

function progressOf({ stages }: StagedPlan, { onProgress }: ExecuteOptions): (b: number) => void {
  const all = stages.flatMap(({ writes }) => writes.map(shadowWriteBytes));
  const totalBytes = all.reduce((sum, bytes) => sum + bytes, 0);
  let doneBytes = 0;
  return (bytes) => {
    doneBytes += bytes;
    onProgress?.(doneBytes, totalBytes);
  };
}

interface FileNow {
  readonly headerSector: Uint8Array;
  readonly sizeBytes: number;
}

function after({ writes }: Stage, { headerSector, sizeBytes }: FileNow): FileNow {
  const header = headerSector.slice();
  for (const write of writes.filter(isLiteral).filter(isHeaderWrite)) {
    header.set(write.bytes, write.at);
  }
  return { headerSector: header, sizeBytes: sizeAfter(writes, sizeBytes) };
}

const isLiteral = (write: ShadowWrite): write is LiteralWrite => write.kind === 'literal';
