import type { Extent, ExtentKind, GuestDisk } from '../../../../src/read/guest/disk.js';
import type { GuestWrite, ImageWriter } from '../../../../src/make/new/image-writer.js';

/** A stretch of a made-up disk. */
export interface Stretch {
  readonly length: number;
  readonly kind: ExtentKind;
  readonly depth?: number;
  readonly at?: number;
  /** What every byte is, or the bytes; zeros where it is missing. */
  readonly fill?: number | Uint8Array;
}

export type MadeUpDisk = GuestDisk & { readonly bytes: Uint8Array };

/** A disk of these stretches; `reads` gathers what was read of it. */
export function diskOf(
  stretches: readonly Stretch[],
  reads: { at: number; length: number }[] = [],
): MadeUpDisk {
  const bytes = new Uint8Array(stretches.reduce((sum, { length }) => sum + length, 0));
  const extents: Extent[] = [];
  let start = 0;
  for (const { length, kind, depth, at, fill } of stretches) {
    extents.push({ start, length, kind, depth: depth ?? 0, ...(at !== undefined && { at }) });
    if (typeof fill === 'number') bytes.fill(fill, start, start + length);
    else if (fill !== undefined) bytes.set(fill, start);
    start += length;
  }
  return {
    bytes,
    label: 'disk',
    dataLabel: 'disk',
    externalData: false,
    sources: [],
    format: 'qcow2',
    clusterBytes: 65536,
    l2EntryBytes: 8,
    encrypted: false,
    chain: [],
    sizeBytes: () => Promise.resolve(bytes.length),
    readBatch: (requests) => {
      for (const { at, into } of requests) {
        reads.push({ at, length: into.length });
        into.set(bytes.subarray(at, at + into.length));
      }
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
    // One extent a batch is the hardest way to get them.
    async *extents() {
      for (const extent of extents) yield await Promise.resolve([extent]);
    },
  };
}

/** A writer that keeps what it is given, and what the disk is then. */
export interface RecordingWriter extends ImageWriter {
  readonly writes: { kind: GuestWrite['kind']; at: number; length: number }[];
  readonly bytes: Uint8Array;
}

/**
 * A writer into memory that fails with the N-th batch, if asked to.
 *
 * @param below what shows where nothing is written.
 */
export function recordingWriter(
  clusterBytes: number,
  below: Uint8Array,
  failAt = Infinity,
): RecordingWriter {
  const bytes = below.slice();
  const writes: RecordingWriter['writes'] = [];
  let batches = 0;
  return {
    writes,
    bytes,
    clusterBytes,
    unitBytes: clusterBytes,
    takesCompressed: true,
    writeBatch: (batch) => {
      batches += 1;
      if (batches >= failAt) return Promise.reject(new Error(`batch ${batches}`));
      for (const write of batch) {
        const { kind, at } = write;
        const end = Math.min(at + lengthOf(write, clusterBytes), bytes.length);
        if (kind === 'data') bytes.set(write.bytes, at);
        else bytes.fill(kind === 'zero' ? 0 : write.packed[0]!, at, end);
        writes.push({ kind, at, length: end - at });
      }
      return Promise.resolve();
    },
    finish: () => Promise.resolve(),
  };
}

function lengthOf(write: GuestWrite, clusterBytes: number): number {
  if (write.kind === 'zero') return write.length;
  return write.kind === 'data' ? write.bytes.length : clusterBytes;
}

/** The test's way to pack: a cluster of one and the same byte is that byte. */
export function packed(cluster: Uint8Array): Uint8Array | undefined {
  return cluster.every((byte) => byte === cluster[0]) ? cluster.slice(0, 1) : undefined;
}
