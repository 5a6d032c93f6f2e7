import { throwIfAborted } from '../../base/abort.js';
import { assert } from '../../base/assert.js';
import { isQsnapError } from '../../errors.js';
import type { BlockDevice, ByteRange } from '../../io/device.js';
import { nonZeroIn, type NonZero } from '../../io/non-zero.js';
import { HEADER_V2_BYTES } from '../../qcow2/spec.js';
import { inState } from '../tx/execute.js';
import { makeDurable } from '../tx/make-durable.js';
import { notAsWritten } from '../tx/read-back.js';
import { areDisjoint } from '../tx/rules.js';
import { useUp } from '../tx/use-up.js';
import { lookThrough, type MeasureScrubOptions, type RemainingBytes } from './look-through.js';
import { SCRUB_PARTS, type ScrubPart, type ScrubPlan } from './plan-scrub.js';

/** How a scrub is carried out. */
export interface ExecuteScrubOptions extends Pick<MeasureScrubOptions, 'signal'> {
  /** Give free clusters and the tail back to the host; what it does not take gets zeros. Slack always gets zeros. */
  readonly punch?: boolean | undefined;
  /** What is going on, and how many bytes of all were looked at for that. */
  readonly onProgress?:
    | ((phase: 'scrubbing' | 'reading back', doneBytes: number, totalBytes: number) => void)
    | undefined;
}

/** What a scrub made zeros of: the bytes that were not. */
export interface ScrubbedBytes extends RemainingBytes {
  /** Bytes that the host took back; 0 where it can't, or was not asked. */
  readonly punchedBytes: number;
}

/** What errors call the parts. */
const NAMES: Readonly<Record<ScrubPart, string>> = {
  slack: 'slack',
  free: 'free cluster',
  tail: 'tail',
};

/**
 * Makes zeros of all that a plan names. Nothing refers to these bytes, so the image says the same at every moment.
 * Sectors of zeros and holes are not written. In the end all of it is read back.
 *
 * ```ts
 * const plan = await planScrub(await openImage(device));
 * const { freeBytes, tailBytes, slackBytes } = await executeScrub(plan, { punch: true });
 * ```
 *
 * @throws QsnapError PLAN_STALE, IMAGE_CHANGED as `executePlan`; READ_FAILED, WRITE_FAILED, NO_SPACE, ABORTED;
 *   VERIFY_FAILED where a byte does not read back as zero. The image is `unchanged` until the first zeros are written, and
 *   `old` from then on.
 */
export async function executeScrub(
  plan: ScrubPlan<BlockDevice>,
  { punch = false, signal, onProgress }: ExecuteScrubOptions = {},
): Promise<ScrubbedBytes> {
  const { source: device } = plan;
  await inState('unchanged', async () => {
    assertScrubs(plan);
    useUp(plan);
    throwIfAborted(signal, 'the scrub');
    await makeDurable(device, plan);
  });
  const during = (phase: 'scrubbing' | 'reading back'): MeasureScrubOptions => ({
    signal,
    onProgress: (done, total) => onProgress?.(phase, done, total),
  });
  return inState('old', async () => {
    try {
      let punchedBytes = 0;
      const scrubbed = await lookThrough(plan, device, during('scrubbing'), async (part, found) => {
        if (punch && part !== 'slack') punchedBytes += await giveBack(device, found);
        else await writeZeros(device, found.sectors);
      });
      await device.flush();
      await lookThrough(plan, device, during('reading back'), (part, { sectors }) => {
        throw notAsWritten(NAMES[part], sectors[0]!.at);
      });
      return { ...scrubbed, punchedBytes };
    } catch (error) {
      throw isQsnapError(error) && error.code === 'ABORTED' ? error.with({ hint: GOES_ON }) : error;
    }
  });
}

const GOES_ON = 'some of it is zeros by now, and another scrub goes on from there';

/** @throws QsnapError INTERNAL where a plan names a byte twice, of the header, or behind the end of the file. */
function assertScrubs(plan: ScrubPlan): void {
  const ranges = SCRUB_PARTS.flatMap((part) => plan[part]);
  assert(areDisjoint(ranges), 'no byte is scrubbed twice');
  for (const { at, length } of ranges) {
    assert(at >= HEADER_V2_BYTES, 'the header is not scrubbed');
    assert(at + length <= plan.fileSizeBytes, 'a scrub makes no file longer');
  }
}

async function giveBack(device: BlockDevice, { stretches, sectors }: NonZero): Promise<number> {
  const bytes = await device.punchBatch(stretches);
  // The host may give back whole blocks alone, or nothing.
  for await (const left of nonZeroIn(device, sectors)) await writeZeros(device, left.sectors);
  return bytes;
}

/** @param ranges of one batch, none longer than that. */
async function writeZeros(device: BlockDevice, ranges: readonly ByteRange[]): Promise<void> {
  const longest = ranges.reduce((most, { length }) => Math.max(most, length), 0);
  const zeros = new Uint8Array(longest);
  await device.writeBatch(
    ranges.map(({ at, length }) => ({ at, bytes: zeros.subarray(0, length) })),
  );
}
