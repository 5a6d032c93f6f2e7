import type { MendedTables, TableContent } from '../../src/edit/tables/table-content.js';
import { scanOf } from '../../src/l1l2/scan.js';
import { geometryOf } from '../../src/qcow2/geometry.js';
import { newCounts } from '../../src/refcount/counts.js';

/** Tables that stay as they were read. */
export const AS_READ: TableContent = { kind: 'as-read' };

/**
 * Tables with any content that a test likes.
 *
 * @param paint changes the words of a table, in host order.
 */
export function painted(
  count: number,
  paint: (words: Uint32Array, index: number) => void,
): MendedTables {
  const geometry = geometryOf(9, 4, false);
  return {
    kind: 'mended',
    tables: Array.from({ length: count }, (_, index) => {
      return { at: index, mends: true, flags: 'as-read' as const };
    }),
    mender: { mendWholeL2: paint },
    scan: scanOf({ geometry, version: 3, fileClusters: 1 }),
    counts: newCounts(1, geometry),
  };
}
