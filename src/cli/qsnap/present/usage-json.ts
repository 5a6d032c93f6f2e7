import {
  sharersOf,
  type DiskUsage,
  type FreedBytes,
  type ImageUsage,
  type Snapshot,
} from '../../../index.js';
import { snapshotJson } from './snapshot-json.js';
import type { SetFreed } from './usage-text.js';

/** Of more snapshots nobody asks each one with whom it shares: the answer grows with the square. */
const SHARERS_SNAPSHOTS_MAX = 500;
/** So many that share with a disk are told, those that share most. */
const SHARERS_MAX = 20;

/** docs/schema/usage.json. */
export function usageJson(
  usage: ImageUsage,
  takenBytes: number | undefined,
  set: SetFreed | undefined,
): Record<string, unknown> {
  const { active, snapshots, space } = usage;
  return {
    active: diskJson(usage, active),
    snapshots: snapshots.map((one) => ({
      ...snapshotJson(one.snapshot!, undefined),
      ...diskJson(usage, one),
      'if-deleted': freedJson(one.ifDeleted!),
    })),
    totals: {
      'file-bytes': space.fileBytes,
      ...(takenBytes !== undefined && { 'allocated-bytes': takenBytes }),
      'data-bytes': space.dataBytes,
      'metadata-bytes': space.metadataBytes,
      'leaked-bytes': space.leakedBytes,
      'free-bytes': space.freeBytes,
      'tail-bytes': space.tailBytes,
      'uncounted-bytes': space.uncountedBytes,
    },
    ...(set !== undefined && {
      'if-deleted': { snapshots: set.snapshots.map(nameJson), ...freedJson(set.freed) },
    }),
  };
}

function diskJson(usage: ImageUsage, disk: DiskUsage): Record<string, unknown> {
  return {
    'mapped-bytes': disk.mappedBytes,
    'exclusive-bytes': disk.exclusiveBytes,
    'shared-bytes': disk.sharedBytes,
    'vm-state-bytes': disk.vmStateBytes,
    'table-bytes': disk.tableBytes,
    ...(usage.snapshots.length <= SHARERS_SNAPSHOTS_MAX && sharersJson(usage, disk)),
  };
}

function sharersJson(usage: ImageUsage, { snapshot }: DiskUsage): Record<string, unknown> {
  const sharers = sharersOf(usage, snapshot);
  return {
    'shared-with': sharers.slice(0, SHARERS_MAX).map((one) => ({
      ...(one.snapshot === undefined ? { active: true } : nameJson(one.snapshot)),
      bytes: one.bytes,
    })),
    ...(sharers.length > SHARERS_MAX && { 'shared-with-left-out': sharers.length - SHARERS_MAX }),
  };
}

function nameJson({ index, id, name }: Snapshot): Record<string, unknown> {
  return { index, id, name };
}

function freedJson(freed: FreedBytes): Record<string, unknown> {
  return {
    'freed-bytes': freed.freedBytes,
    'guest-data-bytes': freed.guestDataBytes,
    'vm-state-bytes': freed.vmStateBytes,
    'table-bytes': freed.tableBytes,
  };
}
