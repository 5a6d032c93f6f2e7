import type { CompareReport } from '../../../index.js';
import type { ComparedSide } from './compared-side.js';
import { unreadJson } from '../unread.js';
import { snapshotJson } from './snapshot-json.js';

/** What is said of two disks, for programs. docs/schema/compare.json. */
export function comparisonJson(
  a: ComparedSide,
  b: ComparedSide,
  report: CompareReport,
): Record<string, unknown> {
  const [aBytes, bBytes] = report.diskBytes;
  return {
    operation: 'compare',
    disks: [sideJson(a, aBytes), sideJson(b, bBytes)],
    same: report.same,
    ...(report.firstDifferenceAt !== undefined && {
      'first-difference': report.firstDifferenceAt,
    }),
    'different-bytes': report.differentBytes,
    'range-count': report.rangeCount,
    ranges: report.ranges.map(({ start, length }) => ({ start, length })),
    'zero-bytes': report.zeroBytes,
    'shared-bytes': report.sharedBytes,
  };
}

function sideJson({ path, format, image, snapshot }: ComparedSide, bytes: number): object {
  return {
    filename: path,
    format,
    ...(snapshot !== undefined && { snapshot: snapshotJson(snapshot, undefined) }),
    'disk-size': bytes,
    ...(image !== undefined && unreadJson(image)),
  };
}
