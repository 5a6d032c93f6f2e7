import { catalogEntry, type FindingCode } from '../../read/check/catalog.js';
import type { CheckReport } from '../../read/check/report.js';

/** Unreadable table entries that a repair turns into zeros, or that it drops with their table. */
export interface GivenUpEntries {
  readonly l1: number;
  readonly l2: number;
}

/** Counts the findings of class `unreadable` that the check before the repair has, and the one after it no longer. */
export function givenUpEntries(before: CheckReport, after: CheckReport): GivenUpEntries {
  const then = unreadableEntries(after);
  const now = unreadableEntries(before);
  return { l1: Math.max(0, now.l1 - then.l1), l2: Math.max(0, now.l2 - then.l2) };
}

function unreadableEntries({ findings, codesLeftOut }: CheckReport): GivenUpEntries {
  const counted = [...findings.map(({ code }) => ({ code, count: 1 })), ...codesLeftOut];
  const of = (table: 'L1' | 'L2'): number =>
    counted
      .filter(({ code }) => code.startsWith(table) && isUnreadable(code))
      .reduce((sum, { count }) => sum + count, 0);
  return { l1: of('L1'), l2: of('L2') };
}

const isUnreadable = (code: FindingCode): boolean => catalogEntry(code).remedy === 'unreadable';
