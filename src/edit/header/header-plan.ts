import { hasSameBytes } from '../../base/bytes.js';
import type { OpenImage } from '../../image/image.js';
import type { BlockSource } from '../../io/device.js';
import type { PlacedEdit } from '../plan/plan-of.js';
import { bound, type EditPlan, type LiteralWrite } from '../tx/plan.js';
import type { LaidHeader } from './lay-header.js';

/** A change of the first cluster, and what is to be put back after it. */
export interface HeaderPlan<Source extends BlockSource = BlockSource>
  extends EditPlan<Source>, Pick<LaidHeader, 'leftOut'> {}

const SECTOR_BYTES = 512;

/** The first cluster as it is. */
export async function readFirstCluster({ source, geometry }: OpenImage): Promise<Uint8Array> {
  const bytes = new Uint8Array(geometry.clusterBytes);
  await source.readBatch([{ at: 0, into: bytes }]);
  return bytes;
}

/**
 * Writes what differs behind the first sector, and then that sector.
 *
 * @param placed tables that are written with it; the header that was laid leads to them.
 */
export function headerPlan<Source extends BlockSource>(
  image: OpenImage<Source>,
  before: Uint8Array,
  { after, leftOut }: LaidHeader,
  summary: string,
  placed?: PlacedEdit,
): HeaderPlan<Source> {
  const changed = changedSectors(before, after);
  const changedBytes = changed.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const facts = placed?.facts ?? NO_FACTS;
  const plan = {
    headerSector: image.headerSector,
    fileSizeBytes: image.fileSizeBytes,
    shadow: [...changed, ...(placed?.shadow ?? [])],
    switch: { at: 0, bytes: after.slice(0, SECTOR_BYTES) },
    freed: placed?.freed ?? [],
    punch: placed?.punch ?? [],
    facts: { ...facts, shadowBytes: facts.shadowBytes + changedBytes },
    operation: 'set' as const,
    summary,
    created: [],
    leftOut,
  };
  return bound(plan, image);
}

const NO_FACTS = {
  shadowBytes: 0,
  growthBytes: 0,
  freedBytes: 0,
  freedDataBytes: 0,
  leakedClusters: 0,
} as const;

/** What has to be written behind the first sector, before it. */
export function changedSectors(before: Uint8Array, after: Uint8Array): LiteralWrite[] {
  const changed: number[] = [];
  for (let at = SECTOR_BYTES; at < after.length; at += SECTOR_BYTES) {
    const [now, was] = [after, before].map((bytes) => bytes.subarray(at, at + SECTOR_BYTES));
    if (!hasSameBytes(now!, was!)) changed.push(at);
  }
  const [at] = changed;
  if (at === undefined) return [];
  const bytes = after.slice(at, changed.at(-1)! + SECTOR_BYTES);
  return [{ kind: 'literal', what: 'header extensions', at, bytes }];
}
