import { newIoBytes } from '../../base/io-bytes.js';
import { MiB, roundUp } from '../../base/units.js';
import { throwIfAborted } from '../../base/abort.js';
import type { BlockSource } from '../../io/device.js';
import type { Scan } from '../../l1l2/scan.js';
import { ClusterLooks, type ClusterContents } from '../../read/scan/cluster-looks.js';

/** Bytes that are read at a time; the next ones are on their way meanwhile. */
const BATCH_BYTES = 4 * MiB;

/** How a sweep is watched and ended. */
export interface SweepOptions {
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Looks once at every cluster of a file, in order.
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function sweepFile(
  source: BlockSource,
  fileSizeBytes: number,
  scan: Scan,
  options: SweepOptions = {},
): Promise<ClusterContents> {
  const looks = new ClusterLooks(scan, fileSizeBytes);
  const { clusterBytes } = scan.format.geometry;
  const batchBytes = Math.min(BATCH_BYTES, roundUp(fileSizeBytes, clusterBytes));
  const buffers = [0, 1].map(() => newIoBytes(batchBytes));
  const read = async (at: number): Promise<Uint8Array> => {
    const length = Math.min(batchBytes, roundUp(fileSizeBytes - at, clusterBytes));
    const into = buffers[(at / batchBytes) % 2]!.subarray(0, length);
    await source.readBatch([{ at, into }]);
    return into;
  };
  let next = fileSizeBytes > 0 ? read(0) : undefined;
  try {
    for (let at = 0; next !== undefined; at += batchBytes) {
      const bytes = await next;
      throwIfAborted(options.signal, 'the scan');
      next = at + batchBytes < fileSizeBytes ? read(at + batchBytes) : undefined;
      // Whoever waits for it gets its error: the next round, or nobody.
      next?.catch(() => undefined);
      looks.lookAt(bytes, at);
      options.onProgress?.(Math.min(at + batchBytes, fileSizeBytes), fileSizeBytes);
    }
  } finally {
    await next?.catch(() => undefined);
  }
  return looks.finish();
}
