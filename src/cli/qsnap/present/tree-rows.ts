import type { Ancestry, Descent } from '../../../index.js';

/** A disk in the tree, in the order in which the rows are drawn: each below its parent. */
export interface TreeRow {
  readonly descent: Descent;
  /** Number of the parent's row; undefined for a root. */
  readonly parentRow: number | undefined;
  /** The column that its line runs down in: the one of its parent, or the next where it opens a branch. */
  readonly column: number;
  readonly opensBranch: boolean;
  /** Whether the active disk grew from this snapshot. */
  readonly isAppliedLast: boolean;
}

/**
 * The rows of a tree. One child of each disk goes straight down: the one that leads to the active disk, else the one with
 * most disks below it. The others come before it, in the order of the snapshot table, each as a branch one column to the
 * right. So 10,000 snapshots have at most 15 columns, whatever grew from what.
 *
 * ```
 * A          A
 * ├─B        │ B is another branch of A
 * │ C        │ C grew from B
 * D          D grew from A
 * ```
 */
export function treeRows(ancestry: Ancestry): readonly TreeRow[] {
  const all = [...ancestry.snapshots, ancestry.active];
  const appliedLast = ancestry.active.parent?.index;
  const children = childrenOf(all);
  const weights = weightsOf(all);
  const rows: TreeRow[] = [];
  // A stack and no recursion: a line of thousands of snapshots is as deep.
  const open: Pick<TreeRow, 'descent' | 'parentRow' | 'column' | 'opensBranch'>[] = [];
  for (const descent of (children.get(undefined) ?? []).toReversed()) {
    open.push({ descent, parentRow: undefined, column: 0, opensBranch: false });
  }
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { snapshot } = next.descent;
    const isAppliedLast = snapshot !== undefined && snapshot.index === appliedLast;
    const parentRow = rows.push({ ...next, isAppliedLast }) - 1;
    const below = snapshot === undefined ? [] : (children.get(snapshot.index) ?? []);
    if (below.length === 0) continue;
    const straight = heaviestOf(below, weights);
    const { column } = next;
    open.push({ descent: straight, parentRow, column, opensBranch: false });
    for (const descent of below.toReversed()) {
      if (descent === straight) continue;
      open.push({ descent, parentRow, column: column + 1, opensBranch: true });
    }
  }
  return rows;
}

/** By index of the parent, undefined for roots. */
function childrenOf(all: readonly Descent[]): ReadonlyMap<number | undefined, Descent[]> {
  const children = new Map<number | undefined, Descent[]>();
  for (const descent of all) {
    const parent = descent.parent?.index;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [descent]);
    else siblings.push(descent);
  }
  return children;
}

/** How many disks there are from each one down; without end where the active disk is among them. */
function weightsOf(all: readonly Descent[]): ReadonlyMap<Descent, number> {
  const weights = all.map(({ snapshot }) => (snapshot === undefined ? Infinity : 1));
  // A parent stands before its children in the table.
  for (let i = all.length - 1; i >= 0; i--) {
    const parent = all[i]!.parent;
    if (parent !== undefined) weights[parent.index]! += weights[i]!;
  }
  return new Map(all.map((descent, i) => [descent, weights[i]!]));
}

/** The last one of those that weigh most. */
function heaviestOf(descents: readonly Descent[], weights: ReadonlyMap<Descent, number>): Descent {
  return descents.reduce((so, one) => (weights.get(one)! >= weights.get(so)! ? one : so));
}
