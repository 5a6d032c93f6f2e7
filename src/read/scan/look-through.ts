import { newIoBytes } from '../../base/io-bytes.js';
import { KiB, MiB } from '../../base/units.js';
import { throwIfAborted } from '../../base/abort.js';
import type { ByteRange } from '../../io/device.js';
import { stretchesOf } from '../../io/holes.js';
import { readAhead } from '../../io/read-ahead.js';
import type { Ground } from './ground.js';
import { RemainsLooks, type RemainsContents } from './remains-looks.js';

/** Bytes that are read at a time; the next ones are on their way meanwhile. */
const BATCH_BYTES = 4 * MiB;
/** A shorter run is read in less time than the system takes to tell its holes. */
const ASK_FROM_BYTES = 256 * KiB;

/** How a scan is watched and ended. */
export interface ScanWatch {
  /** Bytes of the file that are behind, those in use included. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What all clusters hold that nothing refers to. */
export interface LookedThrough {
  readonly contents: RemainsContents;
  /** Bytes of clusters that nothing refers to, as far as they lie in the file. */
  readonly unreferencedBytes: number;
  /** Of those, in holes of the file. */
  readonly holeBytes: number;
}

/**
 * Looks once at every cluster that nothing refers to, in order. Holes are not read.
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function lookThrough(ground: Ground, watch: ScanWatch = {}): Promise<LookedThrough> {
  const { scan, fileSizeBytes, format } = ground;
  const { clusterBytes } = format.geometry;
  const looks = new RemainsLooks(scan, fileSizeBytes);
  let holeBytes = 0;
  let unreferencedBytes = 0;
  const skipped = (first: number, end: number, bytes: number): void => {
    looks.skipZeros(first, end);
    holeBytes += bytes;
  };
  async function* batches(): AsyncGenerator<Batch> {
    const buffers: Uint8Array[] = [];
    let turn = 0;
    for (const run of unreferencedRuns(ground)) {
      unreferencedBytes += run.length;
      for await (const { at, length } of dataOf(run, ground, skipped)) {
        const buffer = (buffers[turn] ??= newIoBytes(Math.max(BATCH_BYTES, clusterBytes)));
        turn = 1 - turn;
        const bytes = buffer.subarray(0, Math.ceil(length / clusterBytes) * clusterBytes);
        await ground.source.readBatch([{ at, into: bytes }]);
        yield { at, bytes };
      }
    }
  }
  for await (const { at, bytes } of readAhead(batches())) {
    throwIfAborted(watch.signal, 'the scan');
    looks.lookAt(bytes, at);
    watch.onProgress?.(Math.min(at + bytes.length, fileSizeBytes), fileSizeBytes);
  }
  return { contents: looks.finish(), unreferencedBytes, holeBytes };
}

interface Batch {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Runs of clusters that nothing refers to; the first cluster is the header's, or the scan's own affair. */
function* unreferencedRuns({ claimed, format, fileSizeBytes }: Ground): Generator<ByteRange> {
  const { fileClusters, geometry } = format;
  for (let first = claimed.nextMissing(0); first < fileClusters;) {
    const end = Math.min(claimed.next(first), fileClusters);
    const at = first * geometry.clusterBytes;
    yield { at, length: Math.min(end * geometry.clusterBytes, fileSizeBytes) - at };
    first = claimed.nextMissing(end);
  }
}

/** Whole clusters of a run that are no holes, none more than a batch. */
async function* dataOf(
  run: ByteRange,
  { source, format }: Ground,
  skipped: (first: number, end: number, bytes: number) => void,
): AsyncGenerator<ByteRange> {
  const { clusterBytes } = format.geometry;
  const end = run.at + run.length;
  /** All before this is behind. */
  let done = run.at;
  for await (const { at, length, isHole } of stretchesIn(run, source)) {
    if (isHole) {
      // A cluster that is a hole in part alone is read with its data.
      const first = Math.ceil(Math.max(at, done) / clusterBytes);
      const stop =
        at + length === end
          ? Math.ceil(end / clusterBytes)
          : Math.floor((at + length) / clusterBytes);
      if (stop > first)
        skipped(first, stop, Math.min(stop * clusterBytes, end) - first * clusterBytes);
      continue;
    }
    const from = Math.max(done, at - (at % clusterBytes));
    const to = Math.min(Math.ceil((at + length) / clusterBytes) * clusterBytes, end);
    const most = Math.max(BATCH_BYTES, clusterBytes);
    for (let start = from; start < to; start += most) {
      yield { at: start, length: Math.min(most, to - start) };
    }
    done = Math.max(done, to);
  }
}

async function* stretchesIn(
  run: ByteRange,
  source: Ground['source'],
): AsyncGenerator<ByteRange & { readonly isHole: boolean }> {
  if (run.length < ASK_FROM_BYTES) {
    yield { ...run, isHole: false };
    return;
  }
  for await (const stretches of stretchesOf(source, run.at, run.length)) yield* stretches;
}
