import { hinted } from '../../base/hints.js';
import { printableText } from '../../base/text.js';
import { catalogEntry, isFindingCode, type FindingCode } from '../../read/check/catalog.js';
import { REPAIR_CLASSES, type RepairClass } from '../../read/check/finding-parts.js';
import { QsnapError } from '../../errors.js';

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
  /** L1 tables that are given up: an empty one takes the place of each. */
  readonly emptyL1s?: readonly EmptiedL1[];
  /** Gives up all persistent bitmaps: the image says that nobody may trust them, and their clusters go. */
  readonly dropBitmaps?: boolean;
  /** Gives what it frees back to the host, guest data and tables alike. Else the bytes stay in the file. */
  readonly punch?: boolean;
}

/** Whose L1 table is given up: the active disk's, or a snapshot's by its position in the table. */
export type EmptiedL1 = 'active' | number;

export function choseClass(choice: RepairChoice, name: RepairClass): boolean {
  return choice.classes.includes(name);
}

/** Whether something is given up by name that may own clusters. */
export function givesUp(choice: RepairChoice): boolean {
  const { dropSnapshots, dropUnreadSnapshots, emptyL1s, dropBitmaps } = choice;
  const named = (dropSnapshots ?? []).length + (emptyL1s ?? []).length;
  return named > 0 || dropUnreadSnapshots === true || dropBitmaps === true;
}

/**
 * Whether a finding with one of these codes at this place was chosen: by its class, which is its remedy in the
 * catalogue, or by name. The class `all` includes `leaks`.
 */
export function chose(choice: RepairChoice, codes: readonly FindingCode[], at: number): boolean {
  const isInClass = codes.some((code) => {
    const { remedy } = catalogEntry(code);
    const isOfAll = remedy === 'all' || remedy === 'leaks';
    return choice.classes.some((name) => name === remedy || (name === 'all' && isOfAll));
  });
  return isInClass || choseFinding(choice, codes, at);
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

/** Whether the metadata at a host offset, which shares its cluster with something else, may get a place of its own. */
export function mayPart(choice: RepairChoice, at: number, clusterBytes: number): boolean {
  return choseFinding(choice, ['METADATA_OVERLAP'], Math.floor(at / clusterBytes) * clusterBytes);
}

const CLASSES: readonly string[] = REPAIR_CLASSES;

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
    hinted('name-repairs'),
  );
}
