import { hinted } from '../../base/hints.js';
import { QsnapError } from '../../errors.js';
import type { BlockSource } from '../../io/device.js';
import type { Candidate } from '../../read/scan/candidate.js';
import type { RecoveredRange } from '../../read/scan/recovered-ranges.js';
import { chooseRescued } from './choose.js';
import type { RescueOptions } from './gather.js';
import { planRescueOf } from './plan-rescue.js';
import type { RescuedDisk, RescuePlan } from './rescue-plan.js';
import { lostEntry } from './root.js';

/** An image of all that the image has, and the disk of a deleted snapshot. */
export interface RecoveryPlan {
  readonly plan: RescuePlan;
  readonly disks: readonly RescuedDisk[];
  /** The disk that comes back. */
  readonly recovered: RescuedDisk;
}

/**
 * Plans a copy of an image with a deleted snapshot back in it. What the image has used for something else since reads as
 * zeros in that snapshot.
 *
 * ```ts
 * const { candidates } = await scanImage(device);
 * const { plan, disks } = await planRecovery(device, candidates[0]!, []);
 * const copy = await createNewFile('copy.qcow2');
 * await writeRescued(plan, disks, copy);
 * await copy.close();
 * ```
 *
 * @param candidate of a scan of the same source.
 * @param reused ranges of its disk that hold something else now, and of the tables that name them.
 * @throws QsnapError CANDIDATE_INVALID for a candidate that is no disk, whose L1 table lies where none can, or where the
 *   header's cluster size is wrong; and what `planRescue` throws.
 */
export async function planRecovery(
  source: BlockSource,
  candidate: Candidate,
  reused: readonly RecoveredRange[],
  options: RescueOptions = {},
): Promise<RecoveryPlan> {
  const { l1, snapshot } = candidate;
  const asked = l1 === undefined ? undefined : { l1, snapshot };
  const plan = await planRescueOf(source, options, asked);
  const found = plan.disks.find(({ root }) => root.l1At === l1?.at);
  if (found === undefined) {
    throw new QsnapError(
      'CANDIDATE_INVALID',
      `nothing of candidate ${candidate.number} can be put into an image`,
      { at: candidate.at, ...hinted('recover-disk-alone') },
    );
  }
  const { recovered, givenUp } = withoutReused(found, reused, plan);
  const others = chooseRescued(plan).filter((disk) => disk !== found);
  return { plan: { ...plan, givenUp }, disks: [...others, recovered], recovered };
}

function withoutReused(
  found: RescuedDisk,
  reused: readonly RecoveredRange[],
  { evidence }: RescuePlan,
): { readonly recovered: RescuedDisk; readonly givenUp: Map<number, Set<number>> } {
  const { clusterBytes, l2CoverageBytes } = evidence.format.geometry;
  const tables = Float64Array.from(found.root.tables);
  const givenUp = new Map<number, Set<number>>();
  let lostBytes = 0;
  let tablesLost = 0;
  for (const { start, length, why } of reused) {
    const end = start + length;
    lostBytes += Math.max(0, Math.min(end, found.diskSizeBytes) - start);
    for (let at = start; at < end; at += clusterBytes) {
      const index = Math.floor(at / l2CoverageBytes);
      const table = tables[index] ?? 0;
      if (table <= 0) continue;
      if (why === 'table-reused') {
        tables[index] = lostEntry(table);
        tablesLost += 1;
        continue;
      }
      const entries = givenUp.get(table) ?? new Set<number>();
      entries.add((at % l2CoverageBytes) / clusterBytes);
      givenUp.set(table, entries);
    }
  }
  const recovered = {
    ...found,
    root: { ...found.root, tables },
    tablesFound: found.tablesFound - tablesLost,
    tablesLost: found.tablesLost + tablesLost,
    lostBytes: Math.max(found.lostBytes, lostBytes),
    lostVmStateBytes: found.lostVmStateBytes,
  };
  return { recovered, givenUp };
}
