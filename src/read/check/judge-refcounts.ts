import { hex } from '../../base/words.js';
import type { Image, OpenImage } from '../../image/image.js';
import { firstAboveCap, REFCOUNT_CAP } from '../../refcount/block.js';
import { popcount, visitBits } from '../../refcount/bits.js';
import type { FindingCode } from './catalog.js';
import type { FindingCollector } from './collector.js';
import { Excess } from './excess.js';
import type { Counts } from '../../refcount/counts.js';
import type { ReferenceCounter } from './reference-counter.js';
import { compareRefcounts } from '../../refs/refcount-table.js';
import type { StoredRefcountTable } from './stored-refcount-table.js';

/** Bounds what an image of nothing but absurd refcounts can make a check keep. */
const ABOVE_CAP_MAX = 16_384;

/**
 * Compares the counted references with the stored refcounts, cluster by cluster. The stored refcounts then
 * replace the references in `counter.counts`, so that one array serves for both.
 *
 * @returns `end`: the cluster behind the last one with a reference or a refcount. `excess`: the clusters whose
 *   refcount is higher than their references.
 * QEMU: block/qcow2-refcount.c, compare_refcounts.
 */
export async function judgeRefcounts(
  image: OpenImage,
  table: StoredRefcountTable,
  counter: ReferenceCounter,
  collector: FindingCollector,
): Promise<{ readonly end: number; readonly excess: Excess }> {
  const { refcountBits } = image.geometry;
  const { counts, clusters } = counter;
  const excess = new Excess(clusters);
  let end = 1;
  await compareRefcounts(image, table.blocks, counts, clusters, (block, stored, [first, last]) => {
    if (table.unreadable.has(block)) {
      addUnreadable(table, block, first, last, collector);
      addUnknown(counts, first, last, excess);
      return undefined;
    }
    if ((table.blocks[block] ?? 0) === 0 && counts.touched[block] !== 1) return undefined;
    if (stored !== undefined && refcountBits === 64) {
      addAboveCap(stored, first, table.blocks[block]!, collector);
    }
    // Refcounts that are all 0 where there are references were lost, and not one of them tells anything.
    if (counts.touched[block] === 1 && stored?.some((word) => word !== 0) !== true) {
      addUnknown(counts, first, last, excess);
    }
    let countedTo = first;
    return {
      group: (from, inside, different, groups) => {
        const word = from / 32;
        const used = (counts.usedAt(word) | groups.used()) & inside;
        if (used !== 0) end = from + 32 - Math.clz32(used);
        excess.addUsed(popcount(used));
        countedTo = from + 32;
        if (different === 0) return;
        visitBits(different, (bit) => {
          const cluster = from + bit;
          const is = groups.countAt(bit);
          const references = counts.get(cluster);
          if (is > references) excess.addHigh(cluster, references, is);
          else excess.addLow();
          const isCapped = is === REFCOUNT_CAP && refcountBits === 64;
          const found = isCapped ? exactText(stored!, cluster - first) : is;
          if (typeof found === 'string' && table.aboveCap.size < ABOVE_CAP_MAX) {
            table.aboveCap.set(cluster, found);
          }
          const code = codeOf(is, references);
          addDifference(code, cluster, found, references, image, table, collector);
        });
        counts.setWord(word, inside, groups);
      },
      alike: (to) => {
        excess.addUsed(to - countedTo);
        countedTo = to;
        end = to;
      },
      end: () => {
        excess.endBlock();
      },
    };
  });
  return { end, excess };
}

/** Nobody can tell whether a cluster is in use that nothing refers to and whose refcount can't be read. */
function addUnknown(counts: Counts, first: number, last: number, excess: Excess): void {
  for (let cluster = first; cluster < last; cluster++) {
    if (counts.get(cluster) === 0) excess.addUnreferenced(cluster);
  }
}

/** The first refcount of a block that is above what qsnap carries on: an edit refuses the image. */
function addAboveCap(
  stored: Uint32Array,
  firstCluster: number,
  blockAt: number,
  collector: FindingCollector,
): void {
  const index = firstAboveCap(stored);
  if (index < 0) return;
  const found = exactText(stored, index);
  const where = { structure: 'refcount-block', at: blockAt + index * 8 } as const;
  collector.add('REFCOUNT_ABOVE_LIMIT', { ...where, cluster: firstCluster + index, found });
}

/** Refcounts that can't be read, as one finding. */
function addUnreadable(
  table: StoredRefcountTable,
  block: number,
  first: number,
  last: number,
  collector: FindingCollector,
): void {
  const times = last - first;
  collector.add('REFCOUNT_UNREADABLE', {
    ...{ structure: 'refcount-table', at: table.at + block * 8, cluster: first, times },
    facts: { clusters: times, index: block, offset: hex(table.unreadable.get(block)!) },
  });
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
function exactText(stored: Uint32Array, index: number): string {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  return String(view.getBigUint64(index * 8));
}

function codeOf(found: number, expected: number): FindingCode {
  if (found < expected) return found === 0 ? 'REFCOUNT_ZERO' : 'REFCOUNT_TOO_LOW';
  return expected === 0 ? 'CLUSTER_LEAKED' : 'REFCOUNT_TOO_HIGH';
}
