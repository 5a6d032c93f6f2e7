import type { NewL2Table } from '../tables/table-content.js';
import type { OpenImage } from '../../image/image.js';
import { isZero } from '../../base/bytes.js';
import { clustersToHold } from '../../base/units.js';
import { bytesOf } from '../../base/words.js';
import { clearEntries } from './entries.js';
import { readLastTable } from './tables.js';

/**
 * The L2 table in which a smaller disk ends, without what lies past the end; none where nothing
 * does. The rest of the last cluster stays as it is. QEMU: so it does, and shows it again when the
 * disk grows.
 */
export async function cutTables(
  image: OpenImage,
  activeL1: Uint32Array,
  sizeBytes: number,
): Promise<readonly NewL2Table[]> {
  const { geometry } = image;
  const last = await readLastTable(image, activeL1, sizeBytes);
  const keptClusters = clustersToHold(sizeBytes, geometry.clusterBytes);
  const first = keptClusters - last.l1Index * geometry.l2Entries;
  if (isZero(bytesOf(last.words), first * geometry.l2EntryBytes)) return [];
  clearEntries(last.words, first, geometry.l2Entries, image);
  return [{ ...last, runs: [] }];
}
