import { bytesOf } from '../../base/words.js';
import type { Image, OpenImage } from '../../image/image.js';
import { walkStoredTables, walkTables } from '../../refs/tables.js';
import { COMPRESSED, COPIED, offsetOf } from '../../l1l2/entry.js';
import { newRuns } from '../../l1l2/runs.js';
import { anyStoredCopiedWrong } from '../../l1l2/stored-scan.js';
import { decodeRefcounts, REFCOUNT_CAP } from '../../refcount/block.js';
import type { FindingCollector } from './collector.js';
import type { References } from './count-references.js';
import { factsOf } from './judge-entry.js';
import { visitRefcountBlocks } from '../../refs/refcount-table.js';
import type { StoredRefcountTable } from './stored-refcount-table.js';

/** Stored refcounts that are kept of clusters behind the end of the file, at most. */
const BEHIND_MAX = 2 ** 24;

/** The stored refcount of any cluster; undefined where it can't be read. */
type StoredOf = (cluster: number) => number | string | undefined;

/**
 * Compares the COPIED flags of the active L1 and of its L2 tables with the stored refcounts: set
 * where a refcount is exactly 1. Flags below snapshots mean nothing.
 *
 * @param references their counts have been replaced by the stored refcounts.
 * QEMU: block/qcow2-refcount.c, check_oflag_copied. Spec: L2 table entry, bit 63.
 */
export async function checkCopiedFlags(
  image: OpenImage,
  table: StoredRefcountTable,
  references: References,
  collector: FindingCollector,
): Promise<void> {
  const { clusterBytes } = image.geometry;
  const { tally, scan, counter } = references;
  const wrong: number[] = [];
  // QEMU looks into no table whose own refcount it can't read.
  const isReadable = (offset: number): boolean => {
    const cluster = Math.floor(offset / clusterBytes);
    return !table.unreadable.has(Math.floor(cluster / image.geometry.refcountBlockEntries));
  };
  // The first walk over the tables has told whether a second one can find anything.
  const { marks, marked } = references;
  const knownRight = marks.anyWrong(counter.counts) ? undefined : marked;
  const indexes = Array.from(tally.offsets.keys()).filter((i) => {
    const offset = tally.offsets[i]!;
    return tally.active[i]! > 0 && knownRight?.[i] !== 1 && offset !== 0 && isReadable(offset);
  });
  const offsets = Float64Array.from(indexes, (index) => tally.offsets[index]!);
  const runs = newRuns(scan);
  await walkStoredTables(image.source, offsets, clusterBytes, (i, words) => {
    const index = indexes[i]!;
    // The fast look takes whole clusters alone.
    const isOdd = references.odd[index] === 1;
    if (isOdd || anyStoredCopiedWrong(words, scan, counter.counts, runs)) wrong.push(index);
  });
  const storedOf = await storedRefcounts(image, table, references, wrong);
  checkL1(image, references, storedOf, collector);
  const at = Float64Array.from(wrong, (index) => tally.offsets[index]!);
  await walkTables(image.source, at, clusterBytes, (i, words) => {
    const index = wrong[i]!;
    checkL2(
      words,
      tally.offsets[index]!,
      tally.active[index]!,
      image,
      references,
      storedOf,
      collector,
    );
  });
}

/**
 * Stored refcounts by cluster. In a file that was cut off, entries point behind its end. Refcount blocks may
 * still have counts for these clusters; they are read only if a wrong table or the active L1 names one.
 */
async function storedRefcounts(
  image: OpenImage,
  table: StoredRefcountTable,
  { counter, scan, tally, activeL1 }: References,
  wrong: readonly number[],
): Promise<StoredOf> {
  const { clusterBytes, refcountBlockEntries, refcountBits } = image.geometry;
  const blockOf = (cluster: number): number => Math.floor(cluster / refcountBlockEntries);
  const { fileClusters } = scan.format;
  let end = fileClusters;
  const note = (high: number, low: number): void => {
    end = Math.max(end, Math.floor(offsetOf(high, low) / clusterBytes) + 1);
  };
  for (let i = 0; i < activeL1.length; i += 2) note(activeL1[i]!, activeL1[i + 1]!);
  const at = Float64Array.from(wrong, (index) => tally.offsets[index]!);
  await walkTables(image.source, at, clusterBytes, (_, words) => {
    for (let i = 0; i < words.length; i += scan.stride) {
      if ((words[i]! & COMPRESSED) === 0) note(words[i]!, words[i + 1]!);
    }
  });
  const first = blockOf(fileClusters) * refcountBlockEntries;
  const count = Math.min(end, table.blocks.length * refcountBlockEntries) - first;
  const behind = new Uint32Array(Math.max(0, Math.min(count, BEHIND_MAX)));
  if (end > fileClusters && behind.length > 0) {
    const endBlock = blockOf(first + behind.length - 1) + 1;
    await visitRefcountBlocks(image, table.blocks, [blockOf(first), endBlock], (block, stored) => {
      const to = block * refcountBlockEntries - first;
      const into = behind.subarray(to, to + refcountBlockEntries);
      if (stored !== undefined) decodeRefcounts(bytesOf(stored), refcountBits, into);
    });
  }
  return (cluster) => {
    if (table.unreadable.has(blockOf(cluster))) return undefined;
    if (cluster < fileClusters) {
      const value = counter.counts.get(cluster);
      return value === REFCOUNT_CAP ? (table.aboveCap.get(cluster) ?? value) : value;
    }
    return behind[cluster - first] ?? 0;
  };
}

function checkL1(
  image: Image,
  { activeL1 }: References,
  storedOf: StoredOf,
  collector: FindingCollector,
): void {
  const { clusterBytes } = image.geometry;
  for (let i = 0; i < activeL1.length; i += 2) {
    const high = activeL1[i]!;
    const low = activeL1[i + 1]!;
    const offset = offsetOf(high, low);
    if (offset === 0) continue;
    const cluster = Math.floor(offset / clusterBytes);
    const found = storedOf(cluster);
    const isCopied = (high & COPIED) !== 0;
    if (found === undefined || (found === 1) === isCopied) continue;
    const at = image.header.activeL1.at + i * 4;
    collector.add(isCopied ? 'L1_COPIED_SET' : 'L1_COPIED_MISSING', {
      ...{ structure: 'active-l1', at, cluster, found },
      facts: { ...factsOf(high, low), index: i / 2 },
    });
  }
}

function checkL2(
  words: Uint32Array,
  tableAt: number,
  times: number,
  image: Image,
  { scan }: References,
  storedOf: StoredOf,
  collector: FindingCollector,
): void {
  const { clusterBytes } = image.geometry;
  for (let i = 0; i < words.length; i += scan.stride) {
    const high = words[i]!;
    const low = words[i + 1]!;
    const offset = offsetOf(high, low);
    const isCopied = (high & COPIED) !== 0;
    if ((high & COMPRESSED) !== 0) continue;
    // Guest data in a file of its own is never shared, wherever it lies there.
    const external = image.header.externalDataFile;
    if (offset === 0 && !(external && isCopied)) continue;
    const cluster = Math.floor(offset / clusterBytes);
    const found = external ? 1 : storedOf(cluster);
    if (found === undefined || (found === 1) === isCopied) continue;
    collector.add(isCopied ? 'L2_COPIED_SET' : 'L2_COPIED_MISSING', {
      ...{ structure: 'active-l2', at: tableAt + i * 4, cluster, times, found },
      facts: factsOf(high, low),
    });
  }
}
