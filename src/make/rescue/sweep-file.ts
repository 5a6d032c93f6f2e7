import { newIoBytes } from '../../base/io-bytes.js';
import { MiB, roundUp } from '../../base/units.js';
import { throwIfAborted } from '../../base/abort.js';
import type { BlockSource } from '../../io/device.js';
import { readAhead } from '../../io/read-ahead.js';
import type { Scan } from '../../l1l2/scan.js';
import { ClusterLooks, type ClusterContents } from '../../read/scan/cluster-looks.js';
import type { ScanWatch } from '../../read/scan/look-through.js';

/** Bytes that are read at a time; the next ones are on their way meanwhile. */
const BATCH_BYTES = 4 * MiB;

/**
 * Looks once at every cluster of a file, in order.
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function sweepFile(
  source: BlockSource,
  fileSizeBytes: number,
  scan: Scan,
  options: ScanWatch = {},
): Promise<ClusterContents> {
  const looks = new ClusterLooks(scan, fileSizeBytes);
  for await (const { at, bytes } of readAhead(batchesOf(source, fileSizeBytes, scan))) {
    throwIfAborted(options.signal, 'the scan');
    looks.lookAt(bytes, at);
    options.onProgress?.(Math.min(at + bytes.length, fileSizeBytes), fileSizeBytes);
  }
  return looks.finish();
}

/** Whole clusters of a file, many at a time. Two buffers take turns: the bytes last until the next but one. */
async function* batchesOf(
  source: BlockSource,
  fileSizeBytes: number,
  { format }: Scan,
): AsyncGenerator<{ readonly at: number; readonly bytes: Uint8Array }> {
  const { clusterBytes } = format.geometry;
  const batchBytes = Math.min(BATCH_BYTES, roundUp(fileSizeBytes, clusterBytes));
  const buffers: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < fileSizeBytes; at += batchBytes, turn = 1 - turn) {
    const buffer = (buffers[turn] ??= newIoBytes(batchBytes));
    const bytes = buffer.subarray(0, roundUp(fileSizeBytes - at, clusterBytes));
    await source.readBatch([{ at, into: bytes }]);
    yield { at, bytes };
  }
}
