import { l1EntriesFor, type Geometry } from '../../../qcow2/geometry.js';
import type { L1Ref } from '../../../qcow2/header.js';
import type { Snapshot } from '../../../qcow2/snapshot-table.js';

/** A disk as one of the two images has it. */
export interface OneSide {
  readonly geometry: Geometry;
  readonly l1: L1Ref;
}

/** Bytes of what an L1 table maps that have to be the same, and where they begin in either image. */
export interface Span {
  readonly oldFrom: number;
  readonly newFrom: number;
  readonly length: number;
}

/**
 * What has to be the same of a disk. In clusters of the same size that is all that its L1 tables map, data behind the
 * end of the disk included. In others it is the disk and its VM state, which begins with a table of its own.
 */
export function spansOf(
  old: OneSide,
  made: OneSide,
  diskSizeBytes: number,
  snapshot: Snapshot | undefined,
  isSameGrid: boolean,
): readonly Span[] {
  const [oldBytes, newBytes] = [old, made].map(({ geometry, l1 }) => {
    return l1.entries * geometry.l2CoverageBytes;
  });
  if (isSameGrid) return [{ oldFrom: 0, newFrom: 0, length: Math.max(oldBytes!, newBytes!) }];
  const [oldFrom, newFrom] = [old, made].map(({ geometry }) => {
    return l1EntriesFor(diskSizeBytes, geometry) * geometry.l2CoverageBytes;
  });
  const length = Math.min(snapshot?.vmStateBytes ?? 0, oldBytes! - oldFrom!);
  const disk = { oldFrom: 0, newFrom: 0, length: diskSizeBytes };
  return length > 0 ? [disk, { oldFrom: oldFrom!, newFrom: newFrom!, length }] : [disk];
}
