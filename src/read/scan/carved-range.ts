import type { ByteRange } from '../../io/device.js';
import type { Candidate } from './candidate.js';
import type { ScanReport } from './scan-image.js';

/** Kinds that only begin where they were found: nothing tells how far they go on. */
const GOING_ON: ReadonlySet<Candidate['kind']> = new Set(['vm-state', 'header']);

/**
 * The bytes of the file that a candidate lies in. A VM state and a header only begin there: they go on, at most, up to the
 * next of their kind, or to the next cluster that the image uses.
 */
export function carvedRange(
  { basis: { ground }, candidates, fileSizeBytes }: ScanReport,
  { kind, at, bytes }: Candidate,
): ByteRange {
  if (!GOING_ON.has(kind)) return { at, length: Math.min(bytes, fileSizeBytes - at) };
  const { clusterBytes } = ground.format.geometry;
  const inUse = ground.claimed.next(Math.floor(at / clusterBytes)) * clusterBytes;
  const next = candidates
    .filter((one) => one.kind === kind && one.at > at)
    .reduce((least, one) => Math.min(least, one.at), inUse);
  return { at, length: Math.min(next, fileSizeBytes) - at };
}
