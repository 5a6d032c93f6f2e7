import type { BlockSource, ReadRequest } from './device.js';
import { viewOf } from './view.js';

/** The source as if it had these bytes at `at`, for whoever reads through it; nothing is written. */
export function overlaid(source: BlockSource, at: number, bytes: Uint8Array): BlockSource {
  const readBatch: BlockSource['readBatch'] = async (requests) => {
    await source.readBatch(requests);
    for (const request of requests) copyInto(request, at, bytes);
  };
  return viewOf(source, new Map([['readBatch', readBatch]]));
}

/** Fills what a request asks for of the bytes that lie from `from` on. */
export function copyInto({ at, into }: ReadRequest, from: number, bytes: Uint8Array): void {
  const first = Math.max(at, from);
  const end = Math.min(at + into.length, from + bytes.length);
  if (first < end) into.set(bytes.subarray(first - from, end - from), first - at);
}
