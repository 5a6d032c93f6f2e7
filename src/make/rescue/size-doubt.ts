import { SNAPSHOT_EXTRA_BYTES_V3 } from '../../qcow2/spec.js';
import { diskEntries, type Root } from './root.js';
import type { Evidence } from './evidence.js';
import { indexOfTable, type WeighedTables } from './weigh.js';

/**
 * Whether the size of the active disk may have a flipped bit. One sign is the latest snapshot, if its size differs by
 * one bit. The other is an entry behind the end of the disk in its last L2 table: no VM state can be there, since it
 * has tables of its own. A disk that was resized may look like this, too, so the size is only put in doubt.
 * That of a snapshot is in doubt where its entry has a size that no image can have.
 *
 * @param roots of the plan, in its order.
 */
export function isSizeInDoubt(
  root: Root,
  roots: readonly Root[],
  tables: WeighedTables,
  evidence: Evidence,
): boolean {
  if (root.kind === 'snapshot') return isReplaced(root);
  // What the header does not say, or the user said, is another matter.
  if (root.kind !== 'active' || evidence.head.sizeFrom !== 'header') return false;
  const latest = roots.findLast(({ kind, snapshot }) => {
    return kind === 'snapshot' && snapshot?.diskSizeBytes !== undefined;
  });
  const other = latest?.diskSizeBytes;
  if (other !== undefined && other > 0 && differsByOneBit(other, root.diskSizeBytes)) return true;
  return isMappedBehind(root, tables, evidence);
}

function isReplaced({ snapshot, diskSizeBytes }: Root): boolean {
  const hasSize = (snapshot?.extraData.length ?? 0) >= SNAPSHOT_EXTRA_BYTES_V3;
  return hasSize && snapshot!.diskSizeBytes !== diskSizeBytes;
}

function differsByOneBit(a: number, b: number): boolean {
  const bits = BigInt(a) ^ BigInt(b);
  return bits !== 0n && (bits & (bits - 1n)) === 0n;
}

function isMappedBehind(root: Root, tables: WeighedTables, evidence: Evidence): boolean {
  const { clusterBytes, l2Entries } = evidence.format.geometry;
  const last = diskEntries(root, evidence) - 1;
  const at = root.tables[last] ?? 0;
  if (at <= 0) return false;
  const lastEntry = tables.lastEntry[indexOfTable(at, tables)]!;
  return last * l2Entries + lastEntry >= Math.ceil(root.diskSizeBytes / clusterBytes);
}
