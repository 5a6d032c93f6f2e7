import { hinted } from '../base/hints.js';
import { hex } from '../base/words.js';
import { QsnapError, type HintCode } from '../errors.js';
import { ENTRY_PROBLEM_TEXT, type EntryProblem } from '../l1l2/entry.js';

/** What makes an image unfit for an edit. The engine stops at the first one. */
export interface Damage {
  readonly structure: string;
  /** Byte offset of the wrong value in the file. */
  readonly at: number;
  readonly message: string;
  readonly expected?: string;
  readonly actual?: string;
  /** What to do, if not what is to be done about most damage. */
  readonly hintCode?: HintCode;
}

/** The error for a damaged image: the finding, and what to do. */
export function damaged(damage: Damage): QsnapError {
  const { message, hintCode = 'check-before-edit', ...details } = damage;
  return new QsnapError('IMAGE_DAMAGED', `the image is damaged: ${message}`, {
    ...details,
    ...hinted(hintCode),
  });
}

/** Damage of one table entry. */
export function damagedEntry(
  structure: string,
  at: number,
  problem: EntryProblem,
  high: number,
  low: number,
): QsnapError {
  const stored = hex((BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
  return damaged({
    structure,
    at,
    message: `the ${structure} entry at ${hex(at)} (${stored}) ${ENTRY_PROBLEM_TEXT[problem]}`,
    actual: stored,
  });
}
