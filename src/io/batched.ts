import { MiB } from '../base/units.js';
import type { WriteRequest } from './device.js';

/** A device is given about so much at a time. */
const BATCH_BYTES = 8 * MiB;

/** The requests in batches that are worth a call. */
export function* batched(requests: Iterable<WriteRequest>): Generator<WriteRequest[]> {
  let batch: WriteRequest[] = [];
  let bytes = 0;
  for (const request of requests) {
    batch.push(request);
    bytes += request.bytes.length;
    if (bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
