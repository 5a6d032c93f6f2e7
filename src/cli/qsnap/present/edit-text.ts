import type { EditFacts, ExecuteReport, Image, Snapshot } from '../../../index.js';
import { describeSnapshot, printableText } from '../../../internal.js';
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

const MENDED: Readonly<Record<NonNullable<EditFacts['mends']>[number], string>> = {
  'copied-flags': 'COPIED flags of the active disk were wrong; they are right now.',
  'snapshot-entries': 'Snapshot entries lacked extra data; they are complete now.',
};

/** What a check would have called corruption, and the edit set right. */
export function mendedLines({ facts: { mends = [] } }: AnyEdit): string[] {
  return mends.map((each) => MENDED[each]);
}

export function renamedLines(path: string, snapshot: Snapshot, newName: string): string[] {
  const label = describeSnapshot(snapshot);
  return [`Renamed snapshot ${label} to "${printableText(newName)}" in ${printableText(path)}.`];
}
