import { hex } from '../base/words.js';
import type { Image } from '../image/image.js';
import type { Counts } from '../refcount/counts.js';
import type { FindingCode } from './catalog.js';
import type { FindingCollector } from './collector.js';
import type { ReferenceCounter } from './reference-counter.js';
import {
  REFCOUNT_CAP,
  visitStoredRefcounts,
  type StoredRefcountTable,
} from './stored-refcounts.js';

/** Bounds what an image of nothing but absurd refcounts can make a check keep. */
const ABOVE_CAP_MAX = 16_384;

/**
 * Compares the references counted with the refcounts stored, cluster by cluster, and replaces the
 * former by the latter, so that one array serves for both.
 *
 * @param ownersKnown false where snapshots can't be read: then nothing counts as leaked.
 * @returns the cluster behind the last one that is referred to or has a refcount.
 * QEMU: block/qcow2-refcount.c, compare_refcounts.
 */
export async function compareRefcounts(
  image: Image,
  table: StoredRefcountTable,
  counter: ReferenceCounter,
  collector: FindingCollector,
  ownersKnown: boolean,
): Promise<number> {
  const { refcountBlockEntries, refcountBits } = image.geometry;
  const { values, touched } = counter.counts;
  const { clusters } = counter;
  let end = 1;
  const endBlock = Math.ceil(clusters / refcountBlockEntries);
  await visitStoredRefcounts(image, table, 0, endBlock, (block, stored, bytes) => {
    const first = block * refcountBlockEntries;
    const last = Math.min(first + refcountBlockEntries, clusters);
    if (table.unreadable.has(block)) {
      const facts = {
        clusters: last - first,
        index: block,
        offset: hex(table.unreadable.get(block)!),
      };
      const at = table.at + block * 8;
      collector.add('REFCOUNT_UNREADABLE', {
        structure: 'refcount-table',
        at,
        cluster: first,
        times: last - first,
        facts,
      });
      return;
    }
    if ((table.blocks[block] ?? 0) === 0 && touched[block] !== 1) return;
    if (isSame(stored, values, first, last)) {
      end = endOfUse(values, first, last) ?? end;
      return;
    }
    for (let cluster = first; cluster < last; cluster++) {
      const is = stored[cluster - first]!;
      const references = values[cluster]!;
      if ((is | references) !== 0) end = cluster + 1;
      if (is === references) continue;
      values[cluster] = is;
      if (is > references && !ownersKnown) continue;
      const code = codeOf(is, references);
      const isCapped = is === REFCOUNT_CAP && refcountBits === 64;
      const found = isCapped ? exactText(bytes, cluster - first) : is;
      if (typeof found === 'string' && table.aboveCap.size < ABOVE_CAP_MAX) {
        table.aboveCap.set(cluster, found);
      }
      addDifference(code, cluster, found, references, image, table, collector);
    }
  });
  return end;
}

/** Whether what is stored of the clusters from `first` to `last` is what was counted. */
function isSame(
  stored: Counts['values'],
  counted: Counts['values'],
  first: number,
  last: number,
): boolean {
  for (let cluster = first; cluster < last; cluster++) {
    if (stored[cluster - first] !== counted[cluster]) return false;
  }
  return true;
}

/** The cluster behind the last one from `first` to `last` whose count is not 0, if there is one. */
function endOfUse(values: Counts['values'], first: number, last: number): number | undefined {
  let end = last;
  while (end > first && values[end - 1] === 0) end -= 1;
  return end === first ? undefined : end;
}

function addDifference(
  code: FindingCode,
  cluster: number,
  found: number | string,
  expected: number,
  image: Image,
  table: StoredRefcountTable,
  collector: FindingCollector,
): void {
  const { refcountBlockEntries, refcountBits } = image.geometry;
  const block = Math.floor(cluster / refcountBlockEntries);
  const blockAt = table.blocks[block] ?? 0;
  const bit = (cluster % refcountBlockEntries) * refcountBits;
  const structure = blockAt === 0 ? 'refcount-table' : 'refcount-block';
  const at = blockAt === 0 ? table.at + block * 8 : blockAt + Math.floor(bit / 8);
  collector.add(code, { structure, at, cluster, found, expected });
}

/** A refcount of 64 bits that a number need not hold. */
function exactText(block: Uint8Array, index: number): string {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  return String(view.getBigUint64(index * 8));
}

function codeOf(found: number, expected: number): FindingCode {
  if (found < expected) return found === 0 ? 'REFCOUNT_ZERO' : 'REFCOUNT_TOO_LOW';
  return expected === 0 ? 'CLUSTER_LEAKED' : 'REFCOUNT_TOO_HIGH';
}
