/** A Blob as a source: a file that a person chose in a browser, or Node's `openAsBlob`. */
import { assert } from '../base/assert.js';
import { printableText } from '../base/text.js';
import { QsnapError } from '../errors.js';
import {
  FILE_CALLS_IN_FLIGHT,
  FILE_READ_LIMITS,
  readSpans,
  runInFlight,
  scatter,
} from './batch.js';
import type { Span } from './batch.js';
import type { BlockSource, ReadRequest } from './device.js';

/** What is used of a Blob; every browser's and Node's own fit. */
export interface BlobLike {
  readonly size: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBufferLike> };
}

/**
 * A source that reads slices of `blob`. Nothing is read but what is asked for.
 *
 * ```ts
 * await using image = await openQcow(blobSource(file, file.name)); // a `File` of a form
 * ```
 *
 * @param label what errors call it.
 * @throws QsnapError READ_FAILED: reads do, where the file behind the blob is gone or has changed.
 */
export function blobSource(blob: BlobLike, label = 'blob'): BlockSource {
  let open = true;

  const readSpan = async (span: Span): Promise<void> => {
    const end = Math.min(span.end, blob.size);
    if (end <= span.at) {
      scatter(span, new Uint8Array(0));
      return;
    }
    const bytes = await slice(blob, label, span.at, end);
    scatter(span, bytes);
  };

  return {
    label,
    sizeBytes: () => Promise.resolve(blob.size),
    async readBatch(requests: readonly ReadRequest[]) {
      assert(open, 'a closed source is not used');
      const spans = readSpans(requests, FILE_READ_LIMITS);
      await runInFlight(spans, FILE_CALLS_IN_FLIGHT, readSpan);
    },
    close() {
      open = false;
      return Promise.resolve();
    },
  };
}

async function slice(blob: BlobLike, label: string, at: number, end: number): Promise<Uint8Array> {
  const doing = `read ${end - at} bytes of ${printableText(label)} at byte ${at}`;
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await blob.slice(at, end).arrayBuffer());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const hint = 'if the file was changed or moved since it was chosen, choose it again';
    throw new QsnapError(
      'READ_FAILED',
      `Can't ${doing}: ${reason}`,
      { file: label, at, hint },
      error,
    );
  }
  if (bytes.length === end - at) return bytes;
  const message = `Can't ${doing}: only ${bytes.length} bytes came`;
  throw new QsnapError('READ_FAILED', message, { file: label, at });
}
