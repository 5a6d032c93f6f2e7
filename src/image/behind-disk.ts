import { MiB } from '../base/units.js';
import { hex, wordsInPlace } from '../base/words.js';
import { HEADER_V2 } from '../qcow2/spec.js';
import { COMPRESSED, offsetOf } from '../l1l2/entry.js';
import { l1EntriesFor } from '../qcow2/geometry.js';
import type { OpenImage } from './image.js';

/** Bytes of tables that are read at a time. */
const BATCH_BYTES = 4 * MiB;

/** Guest data that is mapped behind the end of its disk. */
export interface BehindDisk {
  /** Index of the snapshot whose disk it is; undefined: the active disk. */
  readonly snapshot: number | undefined;
  /** Where the size is stored, and the offset of the header's, or of the snapshot's table entry. */
  readonly structure: 'main-header' | 'snapshot-table';
  readonly at: number;
  readonly diskSizeBytes: number;
  /** Guest offset at which the last cluster that is mapped ends. */
  readonly mappedTo: number;
}

/** What is wrong, as a check and a refused edit say it. */
export function behindDiskText({ snapshot, diskSizeBytes, mappedTo }: BehindDisk): string {
  const disk = snapshot === undefined ? 'the active disk' : `the disk of snapshot ${snapshot}`;
  return `${disk} has a size of ${diskSizeBytes} bytes, but guest data is mapped up to ${hex(mappedTo)}`;
}

/**
 * Finds disks whose last L2 table maps clusters behind the disk's end. No program makes such entries: VM state begins
 * with the next table, and shrinking a disk clears the entries behind its new end. So the size is wrong.
 */
export async function findBehindDisk(image: OpenImage): Promise<readonly BehindDisk[]> {
  const { header, snapshots, geometry, fileSizeBytes, source } = image;
  const { clusterBytes, l2Entries, l2CoverageBytes, l2EntryBytes } = geometry;
  const disks = [
    {
      l1: header.activeL1,
      diskSizeBytes: header.diskSizeBytes,
      snapshot: undefined,
      structure: 'main-header' as const,
      at: HEADER_V2.sizeBytes.at,
    },
    ...snapshots.map(({ l1, diskSizeBytes, index, at }) => {
      return { l1, diskSizeBytes, snapshot: index, structure: 'snapshot-table' as const, at };
    }),
  ].flatMap((disk) => {
    const last = l1EntriesFor(disk.diskSizeBytes, geometry) - 1;
    const used = Math.ceil((disk.diskSizeBytes - last * l2CoverageBytes) / clusterBytes);
    const isThere = last >= 0 && last < disk.l1.entries && used < l2Entries;
    return isThere ? [{ ...disk, last, used, pointer: new Uint8Array(8) }] : [];
  });
  await source.readBatch(
    disks.map(({ l1, last, pointer }) => ({ at: l1.at + last * 8, into: pointer })),
  );
  const byTable = new Map<number, (typeof disks)[number][]>();
  for (const disk of disks) {
    const [high, low] = wordsInPlace(disk.pointer);
    const at = offsetOf(high!, low!);
    if (at === 0 || at % clusterBytes !== 0 || at + clusterBytes > fileSizeBytes) continue;
    const there = byTable.get(at);
    // Thousands of snapshots may share one table.
    if (there === undefined) byTable.set(at, [disk]);
    else there.push(disk);
  }
  const found: BehindDisk[] = [];
  for (const batch of batchesOf(
    [...byTable],
    Math.max(1, Math.floor(BATCH_BYTES / clusterBytes)),
  )) {
    // Only the entries behind the smallest disk are read of a table.
    const tails = batch.map(([tableAt, there]) => {
      const first = there.reduce((so, { used }) => Math.min(so, used), l2Entries);
      const into = new Uint8Array((l2Entries - first) * l2EntryBytes);
      return { at: tableAt + first * l2EntryBytes, into, first, there };
    });
    await source.readBatch(tails);
    for (const { into, first, there } of tails) {
      const lastMapped = first + lastMappedEntry(wordsInPlace(into), l2EntryBytes / 4);
      for (const { used, last, snapshot, structure, at, diskSizeBytes } of there) {
        if (lastMapped < used) continue;
        const mappedTo = last * l2CoverageBytes + (lastMapped + 1) * clusterBytes;
        found.push({ snapshot, structure, at, diskSizeBytes, mappedTo });
      }
    }
  }
  return found;
}

function batchesOf<T>(items: readonly T[], most: number): T[][] {
  const batches: T[][] = [];
  for (let i = 0; i < items.length; i += most) batches.push(items.slice(i, i + most));
  return batches;
}

/** Index of the last entry that has a host cluster; -1 where none has. */
function lastMappedEntry(words: Uint32Array, stride: number): number {
  for (let i = words.length - stride; i >= 0; i -= stride) {
    const [high, low] = [words[i]!, words[i + 1]!];
    if ((high & COMPRESSED) !== 0 || offsetOf(high, low) !== 0) return i / stride;
  }
  return -1;
}
