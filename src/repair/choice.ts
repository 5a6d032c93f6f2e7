import { printableText } from '../base/text.js';
import { isFindingCode, type FindingCode } from '../check/catalog.js';
import { QsnapError } from '../errors.js';

/**
 * What is mended beyond what makes writing safe.
 *
 * - `all`: everything that changes nothing a guest reads: leaks that surely are leaks, stray bits,
 *   incomplete snapshot table entries, the dirty and the corrupt mark;
 * - `leaks`: leaks, also where something unreadable might own them;
 * - `unreadable`: entries that point where no data can be; the guest then reads zeros there.
 */
export type RepairClass = 'all' | 'leaks' | 'unreadable';

/** A finding to mend: all of its code, or the one at a byte offset in the file. */
export interface ChosenFinding {
  readonly code: FindingCode;
  readonly at: number | undefined;
}

/** What a repair is to do. */
export interface RepairChoice {
  readonly classes: readonly RepairClass[];
  readonly findings?: readonly ChosenFinding[];
  /** Positions in the snapshot table of snapshots to drop. A repair drops no others. */
  readonly dropSnapshots?: readonly number[];
  /** Drops the snapshots behind the first table entry that can't be read, and it. */
  readonly dropUnreadSnapshots?: boolean;
  /** Gives what it frees back to the host, guest data and tables alike. Else the bytes stay in the file. */
  readonly punch?: boolean;
}

export function choseClass(choice: RepairChoice, name: RepairClass): boolean {
  return choice.classes.includes(name);
}

/** Whether a finding of one of these codes at this place was chosen by name. */
export function choseFinding(
  choice: RepairChoice,
  codes: readonly FindingCode[],
  at: number,
): boolean {
  return (choice.findings ?? []).some(
    (chosen) => codes.includes(chosen.code) && (chosen.at === undefined || chosen.at === at),
  );
}

const CLASSES: readonly string[] = ['all', 'leaks', 'unreadable'] satisfies RepairClass[];

/**
 * A choice as people write it: classes, and findings as `CODE` or `CODE@OFFSET`. Nothing said means
 * `all`.
 *
 * @throws QsnapError REPAIR_CHOICE_INVALID for a word that is neither.
 */
export function parseRepairWords(
  words: readonly string[],
): Pick<RepairChoice, 'classes' | 'findings'> {
  if (words.length === 0) return { classes: ['all'] };
  return {
    classes: words.filter((word) => CLASSES.includes(word)) as RepairClass[],
    findings: words.filter((word) => !CLASSES.includes(word)).map(parseFinding),
  };
}

function parseFinding(word: string): ChosenFinding {
  const [, code = '', at] = /^(\w+)(?:@(0x[0-9a-fA-F]+|\d+))?$/.exec(word) ?? [];
  if (isFindingCode(code)) return { code, at: at === undefined ? undefined : Number(at) };
  throw new QsnapError(
    'REPAIR_CHOICE_INVALID',
    `"${printableText(word)}" is neither a class of repairs nor a finding`,
    { hint: 'write all, leaks, unreadable, or a finding as `qsnap check` prints it' },
  );
}
