import { catalogEntry, type FindingCode } from '../../read/check/catalog.js';
import type { CheckReport } from '../../read/check/report.js';
import type { CheckedImage } from '../../image/open-for-check.js';
import type { RepairChoice } from './choice.js';

/** Snapshots that a repair drops. */
export interface DroppedSnapshots {
  /** Those that were chosen one by one, in the order of the list. */
  readonly named: readonly { readonly id: string; readonly name: string }[];
  /** How many entries can't be read, by what the header counts. */
  readonly unread: number;
}

/** @returns undefined where all stay. */
export function droppedSnapshots(
  { image, pointer }: CheckedImage,
  { dropSnapshots = [], dropUnreadSnapshots }: RepairChoice,
): DroppedSnapshots | undefined {
  const named = image.snapshots
    .filter(({ index }) => dropSnapshots.includes(index))
    .map(({ id, name }) => ({ id, name }));
  const missing = Math.max(0, pointer.claimed - image.snapshots.length);
  const unread = dropUnreadSnapshots === true ? missing : 0;
  return named.length + unread === 0 ? undefined : { named, unread };
}

/** Table entries that lead nowhere, and that read as zeros or are gone after a repair. */
export interface GivenUpEntries {
  readonly l1: number;
  readonly l2: number;
}

/** How many findings of class `unreadable` one check has, and the other no longer. */
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
