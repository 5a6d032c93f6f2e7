import { throwIfAborted } from '../../base/abort.js';
import { damagedEntry } from '../../image/damage.js';
import {
  COMPRESSED,
  compressedExtent,
  isEmpty,
  judgeL2Entry,
  offsetOf,
  ZERO_FLAG,
} from '../../l1l2/entry.js';
import { ALL_SUBCLUSTERS } from '../../l1l2/new-entry.js';
import { nextBadBitmap, NO_PROBLEM } from '../../l1l2/scan.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { walkTables } from '../../refs/tables.js';
import { PackedClusters, PackedEntries } from './packed-clusters.js';
import type { SourceTables } from './source-tables.js';

/** What the L2 tables of the disks refer to. */
export interface Survey {
  /** By host cluster: how many L1 entries lead to it, where it holds guest data or VM state. */
  readonly references: Uint32Array;
  readonly packed: PackedClusters;
  /** Whether some entry says that its cluster reads as zeros. */
  readonly hasZeros: boolean;
  /** Clusters of which an extended entry uses some subclusters only. */
  readonly partial: ClusterSet;
  /** The cluster that the new image has in the place of this one: itself, or one that is equal. */
  readonly standsFor: (cluster: number) => number;
}

/**
 * Reads every L2 table once, and judges every entry.
 *
 * @throws QsnapError IMAGE_DAMAGED, READ_FAILED, ABORTED.
 */
export async function surveyTables(
  source: SourceTables,
  signal: AbortSignal | undefined,
): Promise<Survey> {
  const { image, format, scan, tables, pointers } = source;
  const { clusterBytes, clusterBits } = format.geometry;
  const { stride } = scan;
  const references = new Uint32Array(format.fileClusters);
  const entries = new PackedEntries();
  const partial = new ClusterSet(stride === 4 ? format.fileClusters : 0);
  let hasZeros = false;
  await walkTables(image.source, tables, clusterBytes, (index, words) => {
    throwIfAborted(signal, 'the compaction');
    refuseFlawed(words, tables[index]!, source);
    const weight = pointers[index]!;
    for (let i = 0; i < words.length; i += stride) {
      if (isEmpty(words, i, stride)) continue;
      const high = words[i]!;
      const low = words[i + 1]!;
      if ((high & COMPRESSED) !== 0) {
        const { at, sectorBytes } = compressedExtent(high, low, clusterBits);
        entries.add(at, sectorBytes - (at % 512), weight);
        continue;
      }
      const isZero = stride === 4 ? words[i + 2] !== 0 : (low & ZERO_FLAG) !== 0;
      if (isZero) hasZeros = true;
      if (!holdsData(words, i, stride)) continue;
      const cluster = offsetOf(high, low) / clusterBytes;
      references[cluster]! += weight;
      if (stride === 4 && words[i + 3] !== ALL_SUBCLUSTERS) partial.add(cluster);
    }
  });
  const packed = new PackedClusters(entries, packedBytesMax(clusterBytes));
  return { references, packed, hasZeros, partial, standsFor: (cluster) => cluster };
}

/**
 * Bytes that a compressed cluster may have, so that its entry can name all their sectors wherever it goes. Streams are
 * shorter: what can't be compressed is a few bytes longer than a cluster.
 * Spec: Compressed Clusters Descriptor.
 */
function packedBytesMax(clusterBytes: number): number {
  return 2 * clusterBytes - 511;
}

/** Whether an entry that is not compressed leads to a cluster from which anything is read. */
export function holdsData(words: Uint32Array, i: number, stride: number): boolean {
  const low = words[i + 1]!;
  if (offsetOf(words[i]!, low) === 0) return false;
  return stride === 4 ? words[i + 3] !== 0 : (low & ZERO_FLAG) === 0;
}

/** @throws QsnapError IMAGE_DAMAGED for the first entry that can't be right. */
function refuseFlawed(words: Uint32Array, tableAt: number, { scan, format }: SourceTables): void {
  const { stride } = scan;
  for (let i = 0; i < words.length; i += stride) {
    const [high, low] = [words[i]!, words[i + 1]!];
    if ((high | low) === 0) continue;
    const problem = judgeL2Entry(high, low, format);
    if (problem !== undefined) throw damagedEntry('L2 table', tableAt + i * 4, problem, high, low);
  }
  const bad = nextBadBitmap(words, scan, 0);
  if (bad === NO_PROBLEM) return;
  const at = bad * 4;
  throw damagedEntry(
    'L2 table',
    tableAt + at * 4 + 8,
    'reserved-bits',
    words[at + 2]!,
    words[at + 3]!,
  );
}
