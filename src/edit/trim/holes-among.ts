import type { BlockSource, FileStretch } from '../../io/device.js';

/**
 * Which clusters are holes of the file, as far as the system tells: they read as zeros and take no room.
 *
 * @param clusters ascending.
 */
export async function holesAmong(
  source: BlockSource,
  clusters: readonly number[],
  clusterBytes: number,
): Promise<ReadonlySet<number>> {
  const holes = new Set<number>();
  const end = ((clusters.at(-1) ?? 0) + 1) * clusterBytes;
  let told: readonly FileStretch[] = [];
  let next = 0;
  for (const cluster of clusters) {
    const at = cluster * clusterBytes;
    while (next < told.length && endOf(told[next]!) <= at) next++;
    if (next === told.length) {
      const asked = await source.stretchesFrom?.(at, end);
      if (asked === undefined) return new Set();
      told = asked;
      next = 0;
    }
    const stretch = told[next];
    if (stretch?.isHole === true && endOf(stretch) >= at + clusterBytes) {
      holes.add(cluster);
    }
  }
  return holes;
}

const endOf = ({ at, length }: FileStretch): number => at + length;
