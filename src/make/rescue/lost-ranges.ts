import { walkTables } from '../../refs/tables.js';
import type { ClusterSet } from '../../refcount/cluster-set.js';
import { TableCopier } from './copy-table.js';
import type { Evidence } from './evidence.js';
import type { MendedPointers } from './mend-pointers.js';
import type { RescuedDisk, RescuePlan } from './rescue-plan.js';
import { diskEntries } from './root.js';
import type { WeighedTables } from './weigh.js';
import type { LostEntries } from './lost-entries.js';

/** Guest bytes from `start` on. */
export interface LostRange {
  readonly start: number;
  readonly length: number;
}

/** Finds the lost entries of L2 tables: entries that can't be right, and that could not be mended. */
export async function findLostEntries(
  tables: WeighedTables,
  mended: MendedPointers,
  metadata: ClusterSet,
  evidence: Evidence,
): Promise<LostEntries> {
  const { source, format } = evidence;
  const copier = new TableCopier(evidence, metadata, format.version);
  const flawed = tables.offsets.filter((_, index) => tables.flawed[index]! > 0);
  const lost = new Map<number, Uint32Array>();
  await walkTables(source, flawed, format.geometry.clusterBytes, (index, words) => {
    const at = flawed[index]!;
    const runs: number[] = [];
    copier.mend(words, at, mended.get(at), (entry) => {
      const last = runs.length - 2;
      if (last >= 0 && runs[last]! + runs[last + 1]! === entry) runs[last + 1]! += 1;
      else runs.push(entry, 1);
    });
    if (runs.length > 0) lost.set(at, Uint32Array.from(runs));
  });
  return lost;
}

/** How many entries of a table are lost. */
export function lostCount(at: number, lost: LostEntries): number {
  const runs = lost.get(at);
  return runs === undefined ? 0 : runs.reduce((sum, n, i) => sum + (i % 2 === 1 ? n : 0), 0);
}

/** What is lost of a disk, in order, as ranges that don't touch; VM state lies behind its end. */
export function* lostRanges(plan: RescuePlan, disk: RescuedDisk): Generator<LostRange> {
  const { geometry } = plan.evidence.format;
  const { clusterBytes, l2CoverageBytes } = geometry;
  let open: { start: number; end: number } | undefined;
  const end = Math.min(disk.root.tables.length, diskEntries(disk.root, plan.evidence));
  for (let index = 0; index < end; index++) {
    const at = disk.root.tables[index]!;
    const base = index * l2CoverageBytes;
    const runs = at < 0 ? [0, geometry.l2Entries] : (plan.lostEntries.get(at) ?? []);
    for (let i = 0; i < runs.length; i += 2) {
      const start = base + runs[i]! * clusterBytes;
      const stop = Math.min(start + runs[i + 1]! * clusterBytes, disk.diskSizeBytes);
      if (stop <= start) continue;
      if (open?.end === start) open.end = stop;
      else {
        if (open !== undefined) yield rangeOf(open);
        open = { start, end: stop };
      }
    }
  }
  if (open !== undefined) yield rangeOf(open);
}

function rangeOf({ start, end }: { start: number; end: number }): LostRange {
  return { start, length: end - start };
}
