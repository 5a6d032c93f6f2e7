import {
  describeSnapshot,
  printableText,
  type ExecuteReport,
  type Image,
  type Snapshot,
} from '../../../index.js';
import { countText } from '../../text.js';
import type { AnyEdit } from './any-edit.js';
import { freedText, givenBackLines, netFreedBytes } from './plan-text.js';

/** What is said when an edit is done. */
export function createdLines(path: string, plan: AnyEdit): string[] {
  return plan.created.map(
    ({ id, name }) =>
      `Created snapshot ${printableText(id)} "${printableText(name)}" in ${printableText(path)}.`,
  );
}

export function appliedLines(
  path: string,
  applied: Snapshot,
  plan: AnyEdit,
  report: ExecuteReport,
  image: Image,
): string[] {
  const label = describeSnapshot(applied);
  const freed = netFreedBytes(plan) <= 0 ? '' : `; freed ${freedText(plan, image)}`;
  return [
    ...createdLines(path, plan),
    `Applied snapshot ${label} to ${printableText(path)}${freed}.`,
    ...givenBackLines(plan, report),
  ];
}

export function deletedLines(
  path: string,
  deleted: readonly Snapshot[],
  plan: AnyEdit,
  report: ExecuteReport,
  image: Image,
): string[] {
  const first = deleted[0]!;
  const what =
    deleted.length === 1
      ? `snapshot ${describeSnapshot(first)}`
      : countText(deleted.length, 'snapshot');
  return [
    `Deleted ${what} from ${printableText(path)}; freed ${freedText(plan, image)}.`,
    ...givenBackLines(plan, report),
  ];
}

export function renamedLines(path: string, snapshot: Snapshot, newName: string): string[] {
  const label = describeSnapshot(snapshot);
  return [`Renamed snapshot ${label} to "${printableText(newName)}" in ${printableText(path)}.`];
}
