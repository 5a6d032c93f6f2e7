import type { Image } from '../image/image.js';
import { offsetOf, type TableFormat } from '../l1l2/entry.js';
import type { Scan } from '../l1l2/scan.js';
import type { FindingCode } from '../check/catalog.js';
import { chose, choseFinding, type RepairChoice } from './choice.js';
import { codesOfL1Entry, codesOfL2Entry } from './entry-codes.js';
import {
  flawOfL1Entry,
  flawOfL2Entry,
  mendedL1Entry,
  mendedL2Entry,
  withUnmended,
  zeroingOf,
  type EntryWords,
  type Flaw,
  type Unmended,
  type Zeroing,
} from './mend-entry.js';

/**
 * How an entry stands after mending: it was `sound`; it is `mended`; it is `zeroed`, so that what it
 * may have meant is out of reach; or it has a flaw that stays.
 */
export type Mending = 'sound' | 'mended' | 'zeroed' | Flaw;

/** Whether the entry was changed. */
export function isChanged(mending: Mending): boolean {
  return mending === 'mended' || mending === 'zeroed';
}

/** Mends the entries of tables as a choice says. Deterministic: the same table, the same result. */
export class TableMender {
  readonly format: TableFormat;
  readonly #choice: RepairChoice;
  readonly #zeroing: Zeroing;

  constructor(image: Image, format: TableFormat, choice: RepairChoice) {
    this.format = format;
    this.#choice = choice;
    this.#zeroing = zeroingOf(format, image.backingNameBytes !== undefined);
  }

  /**
   * Mends one L1 entry in place.
   *
   * @param index of the entry.
   * @param tableAt host offset of the table.
   */
  mendL1(words: Uint32Array, index: number, tableAt: number): Mending {
    const high = words[2 * index]!;
    const low = words[2 * index + 1]!;
    const flaw = flawOfL1Entry(high, low, this.format);
    if (flaw === undefined) return 'sound';
    const codes = codesOfL1Entry(high, low, this.format);
    // A check takes the header for the table of bits without an offset: no refcount is right by it.
    const isNowhere = offsetOf(high, low) === 0;
    if (flaw === 'unreadable' && this.#zeroing === 'impossible') return flaw;
    if (!isNowhere && !this.#chose(flaw, codes, tableAt + index * 8)) return flaw;
    words.set(mendedL1Entry(high, low, flaw), 2 * index);
    return flaw === 'unreadable' ? 'zeroed' : 'mended';
  }

  /** Mends one L2 entry in place. */
  mendL2(words: Uint32Array, index: number, tableAt: number, scan: Scan): Mending {
    const from = index * scan.stride;
    const entry: EntryWords = Array.from(words.subarray(from, from + scan.stride));
    const flaw = flawOfL2Entry(entry, this.format);
    if (flaw === undefined) return 'sound';
    const at = tableAt + from * 4;
    const codes = codesOfL2Entry(entry, this.format);
    if (!this.#chose(flaw, codes, at)) return flaw;
    const mended = mendedL2Entry(entry, flaw, this.format, this.#zeroing);
    if (mended === undefined) return flaw;
    if (flaw === 'unreadable') {
      words.set(mended, from);
      return 'zeroed';
    }
    const kept = withUnmended(entry, mended, this.#unmended(codes, at));
    words.set(kept, from);
    return kept.every((word, i) => word === entry[i]) ? flaw : 'mended';
  }

  /** An entry that can't be read is only given up by the class that says so, or by name. */
  #chose(flaw: Flaw, codes: readonly FindingCode[], at: number): boolean {
    if (flaw === 'bits') return chose(this.#choice, codes, at);
    return this.#choice.classes.includes('unreadable') || choseFinding(this.#choice, codes, at);
  }

  #unmended(codes: readonly FindingCode[], at: number): Unmended {
    const stays = (code: FindingCode): boolean =>
      codes.includes(code) && !chose(this.#choice, [code], at);
    return {
      zeroBit: stays('ZERO_FLAG_MEANINGLESS'),
      reservedBits: stays('L2_ENTRY_RESERVED_BITS'),
      copied: stays('L2_COMPRESSED_COPIED'),
      bitmap: stays('L2_COMPRESSED_WITH_SUBCLUSTERS'),
      length: stays('L2_ENTRY_PAST_END'),
    };
  }

  /** Mends all entries of an L2 table in place. For tables that are known to need it. */
  mendWholeL2(words: Uint32Array, tableAt: number, scan: Scan): void {
    for (let index = 0; index * scan.stride < words.length; index++) {
      this.mendL2(words, index, tableAt, scan);
    }
  }
}
