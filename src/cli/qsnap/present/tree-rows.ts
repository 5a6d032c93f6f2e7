import type { Ancestry, Descent } from '../../../index.js';

/** A disk in the tree, in the order in which the rows are drawn: each below its parent. */
export interface TreeRow {
  readonly descent: Descent;
  /** Number of the parent's row; undefined for a root. */
  readonly parentRow: number | undefined;
  /** Steps from the root. */
  readonly depth: number;
  /** By depth below the root: whether the ancestor there has children further down. */
  readonly goesOn: readonly boolean[];
  /** Whether the active disk grew from this snapshot. */
  readonly isAppliedLast: boolean;
}

/** The rows of a tree: children in the order of the snapshot table, the active disk as the last one. */
export function treeRows({ active, snapshots }: Ancestry): readonly TreeRow[] {
  const all = [...snapshots, active];
  const children = new Map<number | undefined, Descent[]>();
  for (const descent of all) {
    const parent = descent.parent?.index;
    children.set(parent, [...(children.get(parent) ?? []), descent]);
  }
  const rows: TreeRow[] = [];
  const roots = children.get(undefined) ?? [];
  // A stack and no recursion: a line of thousands of snapshots is as deep.
  const open = roots.toReversed().map((descent) => {
    return { descent, parentRow: undefined as number | undefined, goesOn: [] as boolean[] };
  });
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { descent, parentRow, goesOn } = next;
    const { snapshot } = descent;
    const isAppliedLast = snapshot !== undefined && snapshot.index === active.parent?.index;
    const row = rows.push({ descent, parentRow, depth: goesOn.length, goesOn, isAppliedLast }) - 1;
    const below = snapshot === undefined ? [] : (children.get(snapshot.index) ?? []);
    for (const [i, child] of below.toReversed().entries()) {
      open.push({ descent: child, parentRow: row, goesOn: [...goesOn, i > 0] });
    }
  }
  return rows;
}
