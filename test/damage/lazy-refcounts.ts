/** Refcounts as a killed machine with lazy refcounts leaves them: clusters in use count as free. */
import { blockAt, blockEntries, putRefcountAt } from '../support/image-builder-layout.js';
import { pick, type Random } from '../support/mutate.js';
import type { Anatomy } from './anatomy.js';

const MOST = 8;

/** Lowers them in place; the host clusters that now count as free. */
export function lowerSomeRefcounts(
  bytes: Uint8Array,
  { plain, structures }: Anatomy,
  random: Random,
): readonly number[] {
  const { layout, clusterBytes } = plain;
  const fresh = structures
    .filter(({ kind }) => kind === 'data' || kind === 'active L2')
    .map(({ at }) => at / clusterBytes)
    .filter((cluster) => plain.references.get(cluster) === 1);
  if (fresh.length === 0) return [];
  const chosen = new Set(Array.from({ length: 1 + random(MOST) }, () => pick(random, fresh)));
  for (const cluster of chosen) {
    const index = cluster % blockEntries(layout);
    putRefcountAt(bytes, blockAt(bytes, layout, cluster), layout.refcountBits, index, 0n);
  }
  return [...chosen];
}
