import { QsnapError } from '../../errors.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import type { Evidence } from './evidence.js';
import type { RescueHead } from './head.js';
import type { WeighedTables } from './weigh.js';

/** @throws QsnapError EXTERNAL_DATA_FILE where the header names another file that the guest data lies in. */
export function refuseNamedDataFile({ dataFile }: RescueHead): void {
  if (dataFile === 'named') throw dataElsewhere();
}

/**
 * Whether the bit that says that the guest data lies in another file has flipped, is told by the tables: of such an
 * image they lead to places in that file, which in this one hold tables or lie past the end.
 *
 * @throws QsnapError EXTERNAL_DATA_FILE where no other file is named, and the tables don't lead to data in this one.
 */
export function refuseUnnamedDataFile(
  { counts, flawed }: WeighedTables,
  metadata: ClusterSet,
  { head, format, refcounts }: Evidence,
): void {
  if (head.dataFile !== 'unnamed') return;
  let held = 0;
  for (let cluster = 1; cluster < format.fileClusters; cluster++) {
    const isData = counts.get(cluster) > 0 && !metadata.has(cluster);
    if (isData && refcounts.of(cluster) !== 0) held += 1;
  }
  const wrong = flawed.reduce((sum, entries) => sum + entries, 0);
  if (held <= wrong) throw dataElsewhere();
}

function dataElsewhere(): QsnapError {
  const message = 'the guest data lies in another file: of such an image nothing can be rescued';
  return new QsnapError('EXTERNAL_DATA_FILE', message, { structure: 'header', at: 72 });
}
