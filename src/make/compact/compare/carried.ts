import { firstDifference } from '../../../base/bytes.js';
import { zstdFrame } from '../../../base/zstd-frame.js';
import { unpack } from '../unpacked.js';
import type { Judging } from './judging.js';
import type { LoadedPair } from './pair-steps.js';

/** Streams whose first bytes are the same in both images. */
type SameStreams = ReadonlyMap<number, Uint8Array>;

/**
 * The pairs of compressed clusters that were carried over as they are, as their packed bytes prove. An entry tells how
 * long a stream is at most, and what lies behind it may differ. So what is the same has to be all that there may be of
 * the old stream, or enough to unpack a cluster.
 *
 * A damaged stream may be carried over, too: it is as damaged in the new image.
 *
 * @throws QsnapError UNSUPPORTED_COMPRESSION.
 */
export async function carriedPairs(
  pairs: readonly LoadedPair[],
  judging: Judging,
): Promise<ReadonlySet<LoadedPair>> {
  const { old, made } = judging.images;
  const { compressionType } = old.header;
  const carried = new Set<LoadedPair>();
  if (compressionType !== made.header.compressionType) return carried;
  const unsure = new Map<number, Uint8Array>();
  for (const [i, loaded] of pairs.entries()) {
    if (!areWholeStreams(loaded, judging)) continue;
    const [before, now] = [loaded.bytes.old!, loaded.bytes.made!];
    const length = Math.min(before.length, now.length);
    const end = firstDifference(before.subarray(0, length), now.subarray(0, length));
    if (end === before.length) carried.add(loaded);
    else unsure.set(i, before.subarray(0, end));
  }
  const broken = await brokenOf(unsure, judging);
  for (const i of unsure.keys()) if (!broken.has(i)) carried.add(pairs[i]!);
  const whole = new Map([...broken.keys()].map((i) => [i, pairs[i]!.bytes.old!]));
  for (const [i] of await brokenOf(whole, judging)) {
    const { packed } = judging;
    const carriedBytes = packed.bytes[packed.indexOf(pairs[i]!.pair.old.at)]!;
    if (broken.get(i)!.length >= carriedBytes) carried.add(pairs[i]!);
  }
  return carried;
}

function areWholeStreams({ pair }: LoadedPair, { images }: Judging): boolean {
  const { clusterBytes } = images.old.geometry;
  return (
    pair.old.kind === 'compressed' &&
    pair.made.kind === 'compressed' &&
    clusterBytes === images.made.geometry.clusterBytes &&
    pair.length === clusterBytes
  );
}

/** The streams that don't hold a cluster. */
async function brokenOf(
  streams: SameStreams,
  { images: { old }, decompressor }: Judging,
): Promise<SameStreams> {
  const { clusterBytes } = old.geometry;
  const isZstd = old.header.compressionType === 'zstd';
  const unsure = new Map(
    [...streams].filter(([, bytes]) => !isZstd || !areFramesOf(bytes, clusterBytes)),
  );
  const broken = new Map<number, Uint8Array>();
  for (const [i, content] of await unpack(old, unsure, decompressor)) {
    if (content === undefined) broken.set(i, streams.get(i)!);
  }
  return broken;
}

/** Whether zstd frames say that they hold a cluster: then nothing behind them is looked at. */
function areFramesOf(bytes: Uint8Array, clusterBytes: number): boolean {
  let rest = bytes;
  for (let held = 0; held < clusterBytes;) {
    const frame = zstdFrame(rest);
    if (frame?.contentBytes === undefined) return false;
    held += frame.contentBytes;
    rest = rest.subarray(frame.bytes);
  }
  return true;
}
