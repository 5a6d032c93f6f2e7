import { roundUp } from '../base/units.js';
import { headerSlack } from '../image/header-slack.js';
import { tableFormat } from '../image/table-format.js';
import type { OpenImage } from '../image/image.js';
import type { BlockSource, ByteRange } from '../io/device.js';
import { nonZeroIn } from '../io/non-zero.js';
import { ClusterSet } from '../refcount/cluster-set.js';
import { readPlausibleBlocks, visitUsedClusters } from '../refs/refcount-table.js';
import { disksOf } from '../refs/walk.js';
import type { Remains } from './rule.js';

/**
 * Finds bytes of the file that nothing refers to and that are not zeros. What is free is what the refcounts call free: of
 * a damaged image that may be more.
 *
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function findRemains(image: OpenImage): Promise<readonly Remains[]> {
  const { free, end } = await freeClusters(image);
  const { clusterBytes } = image.geometry;
  const { source, fileSizeBytes } = image;
  const inside: ByteRange[] = [];
  for (let first = free.next(0); first < end;) {
    const behind = free.nextMissing(first, end);
    inside.push({ at: first * clusterBytes, length: (behind - first) * clusterBytes });
    first = free.next(behind);
  }
  const usedBytes = end * clusterBytes;
  const tail = [{ at: usedBytes, length: Math.max(0, fileSizeBytes - usedBytes) }];
  const found = [
    await nonZero(source, fileSizeBytes, 'free-clusters', inside),
    await nonZero(source, fileSizeBytes, 'tail', tail),
    await nonZero(source, fileSizeBytes, 'header-slack', headerSlack(image)),
    await nonZero(source, fileSizeBytes, 'table-slack', tableSlack(image)),
  ];
  return found.filter((one) => one !== undefined);
}

/** The clusters that the refcounts call free, and where those end that they do not. */
async function freeClusters(
  image: OpenImage,
): Promise<{ readonly free: ClusterSet; readonly end: number }> {
  const { fileClusters } = tableFormat(image);
  const free = new ClusterSet(fileClusters);
  let end = 0;
  const blocks = await readPlausibleBlocks(image);
  await visitUsedClusters(image, blocks, fileClusters, (from, inside, used) => {
    free.addWord(from / 32, ~used & inside);
    if (used !== 0) end = from + 32 - Math.clz32(used);
  });
  return { free, end };
}

/** What tables leave of their last clusters: the snapshot table and the L1 tables. */
function tableSlack(image: OpenImage): readonly ByteRange[] {
  const { header, snapshotTableBytes, geometry } = image;
  const tables = [
    { at: header.snapshotTable.at, length: snapshotTableBytes },
    ...disksOf(image).map(({ l1 }) => ({ at: l1.at, length: l1.entries * 8 })),
  ];
  return tables
    .filter(({ length }) => length > 0)
    .map(({ at, length }) => slackBehind(at + length, geometry.clusterBytes));
}

function slackBehind(at: number, clusterBytes: number): ByteRange {
  return { at, length: roundUp(at, clusterBytes) - at };
}

async function nonZero(
  source: BlockSource,
  fileSizeBytes: number,
  where: Remains['where'],
  ranges: readonly ByteRange[],
): Promise<Remains | undefined> {
  const inFile = ranges
    .map(({ at, length }) => ({ at, length: Math.min(length, fileSizeBytes - at) }))
    .filter(({ length }) => length > 0);
  let first: number | undefined;
  let bytes = 0;
  for await (const { sectors } of nonZeroIn(source, inFile)) {
    for (const { at, length } of sectors) {
      first ??= at;
      bytes += length;
    }
  }
  return first === undefined ? undefined : { where, at: first, bytes };
}
