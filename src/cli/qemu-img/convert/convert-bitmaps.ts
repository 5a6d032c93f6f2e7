/** `convert --bitmaps`: what the source's persistent bitmaps are to become. */
import { editBitmaps, isQsnapError, planBitmaps } from '../../../index.js';
import type { BitmapAction, BlockDevice, OpenImage, PersistentBitmap } from '../../../index.js';
import type { QemuImgIo } from '../disks/io.js';
import { byteString } from '../grammar/bytes.js';
import { BITMAP } from '../messages/bitmap.js';
import { CONVERT, CONVERT_REFUSED } from '../messages/convert.js';
import { sentenceOf } from '../messages.js';
import { Refusal } from '../refusal.js';
import type { ConvertRequest } from './convert-arguments.js';
import type { ConvertInput } from './convert-input.js';

/** The bitmaps of a source that are copied. */
export interface CopiedBitmaps {
  readonly source: OpenImage;
  readonly bitmaps: readonly PersistentBitmap[];
}

/**
 * @returns undefined where none are asked for.
 * @throws Refusal where they can't be had.
 */
export function copiedBitmaps(
  { bitmaps, snapshot, skipBroken }: ConvertRequest,
  { sources }: ConvertInput,
  io: QemuImgIo,
): CopiedBitmaps | undefined {
  if (!bitmaps) return undefined;
  if (sources.length > 1) throw new Refusal(CONVERT.bitmapsOfOne);
  const source = sources[0]!.image;
  if (source === undefined) throw new Refusal(CONVERT.noBitmapsThere);
  const broken = source.bitmaps.filter(({ inUse }) => inUse).map(({ nameBytes }) => nameBytes);
  const [first] = broken.map(byteString);
  if (first !== undefined && !skipBroken) throw new Refusal(CONVERT.brokenBitmap(first));
  if (snapshot !== undefined) throw new Refusal(CONVERT_REFUSED.bitmapsOfSnapshot);
  for (const name of broken) io.warn(CONVERT.skippedBitmap(byteString(name)));
  return { source, bitmaps: source.bitmaps.filter(({ inUse }) => !inUse) };
}

/** Refuses bitmaps that an image can't take, before anything is written to it. */
export async function refuseBitmaps(
  target: OpenImage,
  copied: CopiedBitmaps | undefined,
): Promise<void> {
  if (copied === undefined) return;
  const bytes = [target, copied.source].map(({ header }) => header.diskSizeBytes);
  // QEMU goes through them from the last to the first.
  for (const { nameBytes } of copied.bitmaps.toReversed()) {
    const name = byteString(nameBytes);
    const isThere = target.bitmaps.some((other) => byteString(other.nameBytes) === name);
    if (isThere) throw new Refusal(CONVERT.bitmapNotMade(name, BITMAP.exists(name)));
    if (bytes[0] !== bytes[1]) {
      throw new Refusal(CONVERT.bitmapNotFilled(name, BITMAP.otherSize(bytes[0]!, bytes[1]!)));
    }
  }
  await inWords(() => planBitmaps(target, actionsOf(copied)));
}

/** Adds the bitmaps, all by one edit. */
export async function addBitmaps(
  file: BlockDevice,
  copied: CopiedBitmaps | undefined,
  io: QemuImgIo,
): Promise<void> {
  if (copied === undefined || copied.bitmaps.length === 0) return;
  await inWords(() =>
    io.interruptible((signal) => editBitmaps(file, actionsOf(copied), { signal })),
  );
}

function actionsOf({ source, bitmaps }: CopiedBitmaps): BitmapAction[] {
  return bitmaps.flatMap(({ nameBytes: name, granularityBytes, auto }) => [
    { kind: 'add', name, granularityBytes, enabled: auto },
    { kind: 'merge', name, from: name, source },
  ]);
}

async function inWords(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw isQsnapError(error) ? new Refusal(sentenceOf(error)) : error;
  }
}
