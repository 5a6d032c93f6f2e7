import { roundUp } from '../base/units.js';
import { headerSlack } from '../image/header-slack.js';
import { tableFormat } from '../image/table-format.js';
import type { OpenImage } from '../image/image.js';
import type { ByteRange } from '../io/device.js';
import { nonZeroIn, type ReadStretch } from '../io/non-zero.js';
import { ClusterSet } from '../refcount/cluster-set.js';
import { readPlausibleBlocks, visitUsedClusters } from '../refs/refcount-table.js';
import { disksOf } from '../refs/walk.js';
import type { Remains } from './rule.js';
import type { FindSecrets, SecretsLeft } from './secrets/secret.js';
import { SecretSearch } from './secrets/secret-search.js';

/**
 * Finds bytes of the file that nothing refers to and that are not zeros, and secrets in them. What is free is what the
 * refcounts call free: of a damaged image that may be more.
 *
 * @param findSecrets undefined: none are looked for.
 * @throws QsnapError READ_FAILED, ABORTED.
 */
export async function findRemains(
  image: OpenImage,
  findSecrets?: FindSecrets,
): Promise<{
  readonly remains: readonly Remains[];
  readonly secrets: readonly SecretsLeft[] | undefined;
}> {
  const search = findSecrets && new SecretSearch(findSecrets);
  const { free, end } = await freeClusters(image);
  const { clusterBytes } = image.geometry;
  const inside: ByteRange[] = [];
  for (let first = free.next(0); first < end;) {
    const behind = free.nextMissing(first, end);
    inside.push({ at: first * clusterBytes, length: (behind - first) * clusterBytes });
    first = free.next(behind);
  }
  const usedBytes = end * clusterBytes;
  const tail = [{ at: usedBytes, length: Math.max(0, image.fileSizeBytes - usedBytes) }];
  const found = [
    await nonZero(image, search, 'free-clusters', inside),
    await nonZero(image, search, 'tail', tail),
    await nonZero(image, search, 'header-slack', headerSlack(image)),
    await nonZero(image, search, 'table-slack', tableSlack(image)),
  ];
  return { remains: found.filter((one) => one !== undefined), secrets: search?.end() };
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
  { source, fileSizeBytes }: OpenImage,
  search: SecretSearch | undefined,
  where: Remains['where'],
  ranges: readonly ByteRange[],
): Promise<Remains | undefined> {
  const inFile = ranges
    .map(({ at, length }) => ({ at, length: Math.min(length, fileSizeBytes - at) }))
    .filter(({ length }) => length > 0);
  let first: number | undefined;
  let bytes = 0;
  for await (const { sectors, stretches } of nonZeroIn(source, inFile)) {
    for (const { at, length } of sectors) {
      first ??= at;
      bytes += length;
    }
    if (search !== undefined) {
      for (const { at, bytes: all } of withBytes(sectors, stretches)) search.add(where, at, all);
    }
  }
  return first === undefined ? undefined : { where, at: first, bytes };
}

/** The bytes of sectors, each of which lies in one of the stretches. */
function* withBytes(
  sectors: readonly ByteRange[],
  stretches: readonly ReadStretch[],
): Generator<{ readonly at: number; readonly bytes: Uint8Array }> {
  let i = 0;
  for (const { at, length } of sectors) {
    while (at >= stretches[i]!.at + stretches[i]!.length) i += 1;
    const from = at - stretches[i]!.at;
    yield { at, bytes: stretches[i]!.bytes.subarray(from, from + length) };
  }
}
