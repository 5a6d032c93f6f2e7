import { hinted } from '../base/hints.js';
import { counted } from '../base/text.js';
import { hex } from '../base/words.js';
import { QsnapError } from '../errors.js';
import { ENTRY_PROBLEM_TEXT } from '../l1l2/entry.js';
import { visitBits } from '../refcount/bits.js';
import { firstAboveCap, REFCOUNT_CAP } from '../refcount/block.js';
import type { ClusterSet } from '../refcount/cluster-set.js';
import type { Counts } from '../refcount/counts.js';
import { damaged } from '../image/damage.js';
import type { Image, OpenImage } from '../image/image.js';
import { compareRefcounts, readRefcountTable, type RefcountTableEntry } from './refcount-table.js';

/**
 * Host offsets of all refcount blocks by their index in the refcount table; 0 where none is
 * allocated. As long as the table itself.
 *
 * @throws QsnapError IMAGE_DAMAGED for an entry that points where no block can be.
 * Spec: Host cluster management.
 */
export function readSoundRefcountTable(image: OpenImage): Promise<Float64Array> {
  return readRefcountTable(image, (entry) => {
    const problem = problemOf(entry, image);
    if (problem === undefined) return entry.offset;
    const stored = hex((BigInt(entry.high) << 32n) | BigInt(entry.low));
    throw damaged({
      structure: 'refcount table',
      at: entry.at,
      message: `refcount table entry ${entry.index} (${stored}) ${problem}`,
      expected: `a multiple of ${image.geometry.clusterBytes} below ${image.fileSizeBytes}`,
      actual: stored,
    });
  });
}

/** What is wrong with an entry of the refcount table, in words that complete "the entry …". */
function problemOf(entry: RefcountTableEntry, { fileSizeBytes }: Image): string | undefined {
  if ((entry.high & 0xff00_0000) !== 0) {
    return 'has bits above bit 55 set, which no offset in a file has';
  }
  if (entry.hasStrayBits) return ENTRY_PROBLEM_TEXT['reserved-bits'];
  if (!entry.isAligned) return ENTRY_PROBLEM_TEXT.misaligned;
  return entry.offset >= fileSizeBytes ? ENTRY_PROBLEM_TEXT['past-the-end'] : undefined;
}

/** What comparing the counted references with the stored refcounts gave. */
export interface Comparison {
  readonly leakedClusters: number;
}

/**
 * Compares the counted references with the stored refcounts. The stored refcounts then replace the references in
 * `counts`, so that one array serves for both.
 *
 * @param counts in: references counted; out: stored refcounts.
 * @param free filled with the clusters whose stored refcount is 0.
 * @throws QsnapError IMAGE_DAMAGED when a cluster has fewer refcounts than references: it could
 *   count as free while it is in use. Counts that are too high are leaks, and harmless. LIMIT_EXCEEDED
 *   for a count above REFCOUNT_CAP, which could not be written back as it is.
 */
export async function replaceByStored(
  image: OpenImage,
  blocks: Float64Array,
  counts: Counts,
  free: ClusterSet,
): Promise<Comparison> {
  const { refcountBits } = image.geometry;
  let leakedClusters = 0;
  await compareRefcounts(image, blocks, counts, counts.clusters, (block, stored, [first, end]) => {
    if (stored === undefined && counts.touched[block] !== 1) {
      // Without a block and without references: free, whatever lies there. Files may be very sparse.
      free.addRange(first, end);
      return undefined;
    }
    const above = stored !== undefined && refcountBits === 64 ? firstAboveCap(stored) : -1;
    if (above >= 0) throw aboveLimit(blocks[block]! + above * 8);
    return {
      group: (from, inside, different, groups) => {
        visitBits(different, (bit) => {
          const [is, references] = [groups.countAt(bit), counts.get(from + bit)];
          if (is < references) throw tooLow(image, blocks[block] ?? 0, from + bit, is, references);
          leakedClusters += 1;
        });
        if (different !== 0) counts.setWord(from / 32, inside, groups);
        free.addWord(from / 32, ~groups.used() & inside);
      },
      alike: () => undefined,
    };
  });
  return { leakedClusters };
}

function aboveLimit(at: number): QsnapError {
  const message = `the refcount at ${hex(at)} is above ${REFCOUNT_CAP}`;
  return new QsnapError('LIMIT_EXCEEDED', `${message}, the highest that qsnap carries on`, {
    structure: 'refcount block',
    at,
    expected: `at most ${REFCOUNT_CAP}`,
    ...hinted('lower-refcounts'),
  });
}

function tooLow(
  image: Image,
  blockAt: number,
  cluster: number,
  stored: number,
  references: number,
): Error {
  const { refcountBits, refcountBlockEntries, clusterBytes } = image.geometry;
  const index = cluster % refcountBlockEntries;
  const at = blockAt === 0 ? 0 : blockAt + Math.floor((index * refcountBits) / 8);
  return damaged({
    structure: blockAt === 0 ? 'refcount table' : 'refcount block',
    at,
    message:
      `the host cluster at ${hex(cluster * clusterBytes)} is referred to ` +
      `${counted(references, 'time')} but has a refcount of ${stored}`,
    expected: `a refcount of at least ${references}`,
    actual: `a refcount of ${stored}`,
  });
}
