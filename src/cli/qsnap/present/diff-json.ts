import { isSame, type DiffFacts, type DiffSide } from './diff-totals.js';
import { snapshotJson } from './snapshot-json.js';

/** What comes before the ranges. docs/schema/diff.json. */
export function diffBeginJson({ path, disks }: DiffFacts): Record<string, unknown> {
  return { operation: 'diff', filename: path, disks: disks.map(sideJson) };
}

function sideJson({ snapshot, sizeBytes }: DiffSide): object {
  return {
    ...(snapshot !== undefined && { snapshot: snapshotJson(snapshot, undefined) }),
    'disk-size': sizeBytes,
  };
}

/** What comes after them. */
export function diffEndJson(facts: DiffFacts, comparesContent: boolean): Record<string, unknown> {
  const { totals, patch } = facts;
  return {
    same: isSame(facts),
    'range-count': totals.rangeCount,
    'different-bytes': totals.differentBytes,
    'data-bytes': totals.bytes.data,
    'zeroed-bytes': totals.bytes.zeroed,
    'unmapped-bytes': totals.bytes.unmapped,
    ...(comparesContent && { 'same-content-bytes': totals.bytes['same-content'] }),
    ...(patch !== undefined && {
      patch: {
        filename: patch.file,
        format: patch.format,
        ...(patch.map !== undefined && { map: patch.map }),
        ...(patch.backingFile !== undefined && { 'backing-filename': patch.backingFile }),
        'data-bytes': patch.dataBytes,
        'zero-bytes': patch.zeroBytes,
      },
    }),
  };
}
