import type { FindingCode } from '../../read/check/catalog.js';
import type { Image } from '../../image/image.js';
import { SNAPSHOT_EXTRA_BYTES_V3 } from '../../qcow2/spec.js';
import type { MendedOnTheWay } from '../tx/plan.js';

/** What a check finds wrong, and no edit refuses: most write it anew, and it hides no loss. */
export const MENDED_FINDINGS: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'L1_COPIED_SET',
  'L1_COPIED_MISSING',
  'L2_COPIED_SET',
  'L2_COPIED_MISSING',
  'SNAPSHOT_EXTRA_MISSING',
]);

/** What of an image an edit leaves as it lies. */
export interface Stays {
  /** The active L1, and with it the L2 tables that it points at. */
  readonly activeL1: boolean;
  readonly snapshotTable: boolean;
}

/**
 * What a check of the image finds wrong that no edit refuses, since the new state has it right.
 * Ours: docs/decisions/0002-stale-copied-flags.md.
 */
export function mendsOf(
  { header, snapshots }: Pick<Image, 'header' | 'snapshots'>,
  flagsWrong: boolean,
  stays: Stays,
): readonly MendedOnTheWay[] {
  const areShort =
    header.version === 3 &&
    snapshots.some(({ extraData }) => extraData.length < SNAPSHOT_EXTRA_BYTES_V3);
  return [
    ...(flagsWrong && !stays.activeL1 ? (['copied-flags'] as const) : []),
    ...(areShort && !stays.snapshotTable ? (['snapshot-entries'] as const) : []),
  ];
}
