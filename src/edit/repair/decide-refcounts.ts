import { refcountOverflow } from '../plan/ledger.js';
import type { Image, OpenImage } from '../../image/image.js';
import { bytesOf } from '../../base/words.js';
import { compareRefcounts } from '../../refs/refcount-table.js';
import { DOUBTED_EXCESS } from '../../read/check/excess.js';
import { lostBlocks, plausibleMost } from '../../read/check/lost-blocks.js';
import { decodeRefcounts } from '../../refcount/block.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { visitBits } from '../../refcount/bits.js';
import type { Counts } from '../../refcount/counts.js';

import type { ReleasedReferences } from './released-references.js';
import type { StoredRefcounts } from './stored-refcounts.js';

/** What becomes of stored refcounts that are too high. */
export interface DecisionRules {
  /** Whether the count of a cluster is lowered to its references. */
  readonly lowers: (cluster: number, stored: number, references: number) => boolean;
  /** References that the repair itself takes away, by cluster. What was stored shrinks with them. */
  readonly released: ReleasedReferences;
  /** Whether clusters with unknown refcounts may have owners that nobody knows. */
  readonly ownersUnknown: boolean;
  /** How many disks the header claims: the active one, and one a snapshot. */
  readonly disks: number;
  /** Whether counts that stay too high become `references + DOUBTED_EXCESS`. */
  readonly marksDoubted: boolean;
  readonly fileClusters: number;
}

/** What `decideRefcounts` found. */
export interface DecidedRefcounts {
  /** Clusters whose stored refcount is 0. */
  readonly storedFree: ClusterSet;
  /** Blocks in which a count is not 0, by index. */
  readonly inUse: Uint8Array;
  readonly raised: number;
  readonly lowered: number;
  /** Counts that stay too high. */
  readonly leaksLeft: number;
}

/**
 * Turns counted references into the refcounts that the repair writes, in place. A refcount becomes the number of
 * references; one that is stored higher stays too high, unless `rules.lowers` allows to lower it. Only blocks in
 * which a refcount changes are marked as touched.
 *
 * @throws QsnapError REFCOUNT_OVERFLOW where the width can't hold the references.
 */
export async function decideRefcounts(
  image: OpenImage,
  stored: StoredRefcounts,
  counts: Counts,
  rules: DecisionRules,
): Promise<DecidedRefcounts> {
  const { touched } = counts;
  const isLost = await lostBlocksOf(image, stored, counts, rules);
  const referenced = touched.slice();
  touched.fill(0);
  const storedFree = new ClusterSet(counts.clusters);
  const inUse = new Uint8Array(touched.length);
  const changes = new Changes(image, counts, rules);
  // Refcounts that are all 0 where there are references were lost.
  const isUnknown = (block: number, words: Uint32Array | undefined): boolean => {
    if (!rules.ownersUnknown) return false;
    if (stored.lost.has(block) || isLost(block)) return true;
    if (words === undefined && stored.isLost) return true;
    return referenced[block] === 1 && words?.some((word) => word !== 0) !== true;
  };
  const { blocks } = stored;
  await compareRefcounts(image, blocks, counts, counts.clusters, (block, words, [first, end]) => {
    const released = rules.released.in(block);
    if (isUnknown(block, words)) {
      // Any cluster of the file may be in use, by every disk. With a refcount of that many nobody writes to it in place.
      const were = believable(words, image, rules.disks);
      for (let cluster = first; cluster < end; cluster++) {
        const known = counts.get(cluster) + (released?.get(cluster) ?? 0);
        const most = Math.max(rules.disks, known === 0 ? 1 : known + 1, were[cluster - first]!);
        const is = cluster >= rules.fileClusters ? 0 : Math.min(most, image.geometry.refcountMax);
        if (is === 0) storedFree.add(cluster);
        changes.decide(cluster, is, released?.get(cluster));
        if (counts.get(cluster) !== 0) inUse[block] = 1;
      }
      // What it is to count is nowhere on the medium.
      if (inUse[block] === 1) touched[block] = 1;
      return undefined;
    }
    if (words === undefined && referenced[block] !== 1) {
      storedFree.addRange(first, end);
      return undefined;
    }
    return {
      group: (from, inside, different, groups) => {
        storedFree.addWord(from / 32, ~groups.used() & inside);
        // What is as it was counted needs no look, but where the repair takes references away.
        visitBits(released === undefined ? different : inside, (bit) => {
          changes.decide(from + bit, groups.countAt(bit), released?.get(from + bit));
        });
        if ((counts.usedAt(from / 32) & inside) !== 0) inUse[block] = 1;
      },
      ...(released === undefined && {
        alike: () => {
          inUse[block] = 1;
        },
      }),
    };
  });
  const { raised, lowered, leaksLeft } = changes;
  return { storedFree, inUse, raised, lowered, leaksLeft };
}

/** The refcounts of a block that is lost, in part perhaps; 0 for those that can't be right. */
function believable(words: Uint32Array | undefined, image: Image, disks: number): Uint32Array {
  const { refcountBits, refcountBlockEntries } = image.geometry;
  const were = new Uint32Array(refcountBlockEntries);
  if (words === undefined) return were;
  decodeRefcounts(bytesOf(words), refcountBits, were);
  const most = plausibleMost(image, disks);
  return were.map((count) => (count <= most ? count : 0));
}

/** Which blocks are lost. None, if all owners are known: then the counted references replace the refcounts. */
async function lostBlocksOf(
  image: OpenImage,
  { blocks }: StoredRefcounts,
  counts: Counts,
  { ownersUnknown, disks }: DecisionRules,
): Promise<(block: number) => boolean> {
  return ownersUnknown ? lostBlocks(image, counts, blocks, disks) : () => false;
}

/** Decides on single refcounts that differ from the count, and keeps the totals. */
class Changes {
  raised = 0;
  lowered = 0;
  leaksLeft = 0;
  readonly #image: Image;
  readonly #counts: Counts;
  readonly #rules: DecisionRules;

  constructor(image: Image, counts: Counts, rules: DecisionRules) {
    this.#image = image;
    this.#counts = counts;
    this.#rules = rules;
  }

  /** @param released references that the repair takes away; undefined: none. */
  decide(cluster: number, stored: number, released: number | undefined): void {
    const { clusterBytes, refcountBits, refcountMax } = this.#image.geometry;
    const { touched, blockShift } = this.#counts;
    const block = cluster >>> blockShift;
    const references = this.#counts.get(cluster);
    let count = stored;
    if (references > refcountMax) throw refcountOverflow(cluster * clusterBytes, refcountBits);
    if (released !== undefined) {
      count = Math.max(0, count - released);
      touched[block] = 1;
    }
    // Behind the end of the file is nothing that a refcount could be about.
    if (cluster >= this.#rules.fileClusters) count = Math.min(count, references);
    if (count < references) {
      this.raised += 1;
      touched[block] = 1;
    } else if (count > references) {
      if (this.#rules.lowers(cluster, count, references)) {
        this.lowered += 1;
        touched[block] = 1;
      } else {
        this.leaksLeft += 1;
        const marked = references + DOUBTED_EXCESS;
        if (this.#rules.marksDoubted && count < marked && marked <= refcountMax) {
          count = marked;
          touched[block] = 1;
        }
        this.#counts.set(cluster, count);
      }
    }
  }
}
