import { walkTables } from '../../refs/tables.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { clusterAt, holdsTable, isPlace, type Evidence } from './evidence.js';
import { readRescueHead, type RescueHead } from './head.js';
import { isSoundL2 } from '../../read/scan/table-contents.js';
import { clusterOfEntry } from './weigh.js';

const OLD_HEADERS_TRIED = 64;

/**
 * Finds an older header of this image. A guest may keep other images on its disk, so the header must have the cluster
 * size of the tables, name a cluster that looks like an L1 table, and not lie in guest data. The first one is taken.
 */
export async function findOldHead(evidence: Evidence): Promise<RescueHead | undefined> {
  const { source, swept, format, fileSizeBytes } = evidence;
  if (swept.headers.length === 0) return undefined;
  const guestData = await guestClusters(evidence);
  for (const at of swept.headers.slice(0, OLD_HEADERS_TRIED)) {
    if (guestData.has(clusterAt(at, evidence))) continue;
    const head = await readRescueHead(source, fileSizeBytes, at);
    if (head?.header.geometry.clusterBits !== format.geometry.clusterBits) continue;
    const { l1At = 0, refcountTableAt = 0 } = head.pointers ?? {};
    if (holdsTable(l1At, evidence) && isPlace(refcountTableAt, evidence)) return head;
  }
  return undefined;
}

/** Clusters that any table, of whatever age, leads to. */
async function guestClusters({ source, swept, format, scan }: Evidence): Promise<ClusterSet> {
  const clusters = new ClusterSet(format.fileClusters);
  await walkTables(source, swept.tables, format.geometry.clusterBytes, (_, words) => {
    for (let i = 0; i < words.length; i += scan.stride) {
      if ((words[i]! | words[i + 1]!) === 0 || !isSoundL2(words, i, scan)) continue;
      const cluster = clusterOfEntry(words[i]!, words[i + 1]!, scan);
      if (cluster !== undefined) clusters.add(cluster);
    }
  });
  return clusters;
}
