/**
 * Images that take too long to make as a guest does: with thousands of snapshots, of which each costs as much as all
 * before it, and with terabytes of changes.
 */
import { keptSnapshots } from '../../src/edit/plan/next-state.js';
import { planEdit } from '../../src/edit/plan/plan-edit.js';
import { copiedL1, newEntry } from '../../src/edit/snapshot/create.js';
import type { EditPlan } from '../../src/edit/tx/plan.js';
import type { OpenImage } from '../../src/image/image.js';
import type { BlockSource } from '../../src/io/device.js';

const FIRST_SECONDS = 1_700_000_000;
const HOUR_SECONDS = 3600;

/** Plans `count` snapshots of the active disk, an hour after each other, for an image that has none. */
export function planMany<Source extends BlockSource>(
  image: OpenImage<Source>,
  count: number,
): Promise<EditPlan<Source>> {
  const entries = Array.from({ length: count }, (_, i) => {
    const date = { seconds: FIRST_SECONDS + i * HOUR_SECONDS, nanoseconds: 0 };
    return newEntry(image, { name: `hour ${i}`, id: String(i + 1), date });
  });
  return planEdit(image, {
    operation: 'create',
    summary: `create ${count} snapshots`,
    created: [],
    next: ({ activeL1 }) => ({
      diskSizeBytes: image.header.diskSizeBytes,
      activeL1,
      snapshots: entries.map((entry) => ({ entry, l1: copiedL1(activeL1, image) })),
    }),
  });
}

/**
 * Plans that a guest writes a stretch of the active disk anew: all that so many L2 tables map, from the one that the L1
 * entry `first` points at. What it writes is a hole in the file.
 */
export function planRewrite<Source extends BlockSource>(
  image: OpenImage<Source>,
  first: number,
  tables: number,
): Promise<EditPlan<Source>> {
  const { l2Entries } = image.geometry;
  const newL2Tables = Array.from({ length: tables }, (_, i) => {
    const run = { first: 0, count: l2Entries, kind: 'data' as const, dataCluster: i * l2Entries };
    return { l1Index: first + i, words: undefined, runs: [run] };
  });
  return planEdit(image, {
    operation: 'resize',
    summary: `write ${tables} tables anew`,
    created: [],
    next: ({ activeL1 }) => ({
      diskSizeBytes: image.header.diskSizeBytes,
      activeL1: activeL1.slice().fill(0, 2 * first, 2 * (first + tables)),
      snapshots: keptSnapshots(image),
      newL2Tables,
      newData: { clusters: tables * l2Entries, first: undefined, written: false },
    }),
  });
}
