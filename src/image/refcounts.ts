import { counted } from '../base/text.js';
import { isAligned } from '../base/units.js';
import { hex } from '../base/words.js';
import { QsnapError } from '../errors.js';
import type { BlockSource } from '../io/device.js';
import { ENTRY_PROBLEM_TEXT, offsetOf } from '../l1l2/entry.js';
import { visitBits } from '../refcount/bits.js';
import { firstAboveCap, REFCOUNT_CAP } from '../refcount/block.js';
import { BlockGroups } from '../refcount/block-groups.js';
import type { ClusterSet } from '../refcount/cluster-set.js';
import type { Counts } from '../refcount/counts.js';
import { damaged } from './damage.js';
import type { Image } from './image.js';
import { readTable, walkStoredTables } from './walk.js';

/**
 * Host offsets of all refcount blocks by their index in the refcount table; 0 where none is
 * allocated. As long as the table itself.
 *
 * @throws QsnapError IMAGE_DAMAGED for an entry that points where no block can be.
 * Spec: Host cluster management.
 */
export async function readRefcountTable(image: Image): Promise<Float64Array> {
  const { at, clusters } = image.header.refcountTable;
  const { clusterBytes } = image.geometry;
  const words = await readTable(image.source, at, (clusters * clusterBytes) / 8);
  const offsets = new Float64Array(words.length / 2);
  for (let i = 0; i < offsets.length; i++) {
    const high = words[2 * i]!;
    const low = words[2 * i + 1]!;
    if ((high | low) === 0) continue;
    const offset = offsetOf(high, low);
    const problem = problemOf(high, low, image);
    if (problem !== undefined) {
      const stored = hex((BigInt(high) << 32n) | BigInt(low));
      throw damaged({
        structure: 'refcount table',
        at: at + i * 8,
        message: `refcount table entry ${i} (${stored}) ${problem}`,
        expected: `a multiple of ${clusterBytes} below ${image.fileSizeBytes}`,
        actual: stored,
      });
    }
    offsets[i] = offset;
  }
  return offsets;
}

/** What is wrong with an entry of the refcount table, in words that complete "the entry …". */
function problemOf(
  high: number,
  low: number,
  { geometry, fileSizeBytes }: Image,
): string | undefined {
  if ((high & 0xff00_0000) !== 0) return 'has bits above bit 55 set, which no offset in a file has';
  if ((low & 0x1ff) !== 0) return ENTRY_PROBLEM_TEXT['reserved-bits'];
  const offset = offsetOf(high, low);
  if (!isAligned(offset, geometry.clusterBytes)) return ENTRY_PROBLEM_TEXT.misaligned;
  return offset >= fileSizeBytes ? ENTRY_PROBLEM_TEXT['past-the-end'] : undefined;
}

/** What comparing the counted references with the stored refcounts gave. */
export interface Comparison {
  readonly leakedClusters: number;
}

/**
 * Compares references counted from the tables with the refcounts that are stored, and replaces the
 * counted ones by the stored ones, so that one array serves for both.
 *
 * @param counts in: references counted; out: stored refcounts.
 * @param free filled with the clusters whose stored refcount is 0.
 * @throws QsnapError IMAGE_DAMAGED when a cluster has fewer refcounts than references: it could
 *   count as free while it is in use. Counts that are too high are leaks, and harmless. LIMIT_EXCEEDED
 *   for a count above REFCOUNT_CAP, which could not be written back as it is.
 */
export async function replaceByStored(
  source: BlockSource,
  image: Image,
  blockOffsets: Float64Array,
  counts: Counts,
  free: ClusterSet,
): Promise<Comparison> {
  const { refcountBlockEntries, refcountBits, clusterBytes } = image.geometry;
  const blocks = Math.ceil(counts.clusters / refcountBlockEntries);
  const present: number[] = [];
  const groups = new BlockGroups(refcountBits);
  let leakedClusters = 0;
  const differs = (block: number, cluster: number, is: number, references: number): void => {
    if (is < references) {
      throw tooLow(image, blockOffsets[block] ?? 0, cluster, is, references);
    }
    leakedClusters++;
  };
  const settle = (block: number, stored: Uint32Array | undefined): void => {
    const first = block * refcountBlockEntries;
    const end = Math.min(first + refcountBlockEntries, counts.clusters);
    const compare = (from: number, inside: number, different: number): void => {
      visitBits(different, (bit) => {
        differs(block, from + bit, groups.countAt(bit), counts.get(from + bit));
      });
      if (different !== 0) counts.setWord(from / 32, inside, groups);
      free.addWord(from / 32, ~groups.used() & inside);
    };
    groups.visit(stored, counts, [first, end], compare, () => undefined);
  };
  for (let block = 0; block < blocks; block++) {
    const first = block * refcountBlockEntries;
    if ((blockOffsets[block] ?? 0) !== 0) present.push(block);
    else if (counts.touched[block] === 1) settle(block, undefined);
    // Without a block and without references: free, whatever lies there. Files may be very sparse.
    else free.addRange(first, Math.min(first + refcountBlockEntries, counts.clusters));
  }
  const offsets = Float64Array.from(present, (block) => blockOffsets[block]!);
  await walkStoredTables(source, offsets, clusterBytes, (index, words) => {
    const above = refcountBits === 64 ? firstAboveCap(words) : -1;
    if (above >= 0) throw aboveLimit(offsets[index]! + above * 8);
    settle(present[index]!, words);
  });
  return { leakedClusters };
}

function aboveLimit(at: number): QsnapError {
  const message = `the refcount at ${hex(at)} is above ${REFCOUNT_CAP}`;
  return new QsnapError('LIMIT_EXCEEDED', `${message}, the highest that qsnap carries on`, {
    structure: 'refcount block',
    at,
    expected: `at most ${REFCOUNT_CAP}`,
    hint: 'nothing can have so many references: `qsnap repair IMAGE leaks` lowers it to those there are',
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
