import { type RescuedDisk, type RescuePlan } from '../../../index.js';
import { lostRanges, type LostRange } from '../../../internal.js';
import type { Rescued } from './rescued.js';

/** Ranges of one disk in the output; a map file has more. */
const RANGES_PRINTED_MAX = 1000;
/** Ranges of one disk in a map file: a crafted image could have any number. */
const RANGES_KEPT_MAX = 1_000_000;

/** What a rescue found or did. docs/schema/rescue.json. */
export function rescueJson({ path, plan, disks, output }: Rescued): Record<string, unknown> {
  const { head, format } = plan.evidence;
  return {
    filename: path,
    operation: 'rescue',
    'dry-run': output === undefined,
    header: head.from,
    'luks-header': head.luksHeader,
    'data-file-bit-ignored': head.dataFile === 'unnamed',
    'cluster-size': format.geometry.clusterBytes,
    'cluster-size-doubt': plan.clusterSizeDoubt,
    disks: plan.disks.map((disk) => diskJson(plan, disk, disks.includes(disk))),
    'snapshots-lost': plan.snapshotsLost,
    'unexplained-clusters': plan.unexplained.clusters,
    'unexplained-data-clusters': plan.unexplained.withData,
    'overcounted-clusters': plan.unexplained.overcounted,
    ...(output !== undefined && {
      output: output.path,
      'output-size': output.report.fileSizeBytes,
      'data-bytes': output.report.dataBytes,
    }),
  };
}

function diskJson(plan: RescuePlan, disk: RescuedDisk, isTaken: boolean): Record<string, unknown> {
  const { snapshot } = disk.root;
  return {
    disk: disk.id,
    kind: disk.kind,
    sureness: disk.sureness,
    'found-by': disk.origin,
    ...(disk.hint !== undefined && { hint: disk.hint }),
    taken: isTaken,
    ...(snapshot !== undefined && { 'snapshot-id': snapshot.id, 'snapshot-name': snapshot.name }),
    'disk-size': disk.diskSizeBytes,
    'size-in-doubt': disk.sizeInDoubt,
    'tables-found': disk.tablesFound,
    'tables-lost': disk.tablesLost,
    'tables-in-doubt': disk.tablesInDoubt,
    'mended-pointers': disk.mendedPointers,
    'mapped-bytes': disk.mappedBytes,
    'lost-bytes': disk.lostBytes,
    'doubtful-bytes': disk.doubtfulBytes,
    'lost-vm-state-bytes': disk.lostVmStateBytes,
    ...rangesJson(plan, disk, RANGES_PRINTED_MAX),
  };
}

/** What is lost of each disk that was taken, range by range. docs/schema/rescue.json. */
export function lostMapJson({ path, plan, disks }: Rescued): Record<string, unknown> {
  return {
    filename: path,
    disks: disks.map((disk) => ({
      disk: disk.id,
      'disk-size': disk.diskSizeBytes,
      sureness: disk.sureness,
      ...rangesJson(plan, disk, RANGES_KEPT_MAX),
    })),
  };
}

function rangesJson(
  plan: RescuePlan,
  disk: RescuedDisk,
  most: number,
): { readonly lost: readonly LostRange[]; readonly 'lost-ranges-left-out': boolean } {
  const lost: LostRange[] = [];
  for (const range of lostRanges(plan, disk)) {
    if (lost.length === most) return { lost, 'lost-ranges-left-out': true };
    lost.push(range);
  }
  return { lost, 'lost-ranges-left-out': false };
}
