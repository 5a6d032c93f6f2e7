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
 * Decides whether the bit for an external data file is right, if no file is named. If it is, the entries are offsets
 * in the other file, and in this one they lead into tables or past the end. If most entries lead to clusters of data
 * in use here, the bit has flipped.
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
