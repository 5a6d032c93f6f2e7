import type { Image } from '../../image/image.js';
import { COMPRESSED, COPIED, offsetOf, type TableFormat } from '../../l1l2/entry.js';
import type { Scan } from '../../l1l2/scan.js';
import { catalogEntry, type FindingCode } from '../../read/check/catalog.js';
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
 * How an entry stands after mending: it was `sound`; it is `mended`; it is `zeroed`, and the place that it may have
 * meant is lost; or it has a flaw that stays.
 */
export type Mending = 'sound' | 'mended' | 'zeroed' | Flaw;

/** Whether the entry was changed. */
export function isChanged(mending: Mending): boolean {
  return mending === 'mended' || mending === 'zeroed';
}

/** Reserved bits of a standard L2 entry. */
const [RESERVED_HIGH, RESERVED_LOW] = [0x3f00_0000, 0x1fe];

/** Guest data in a file of its own may begin at 0: then it is the COPIED flag that says so. */
function isFirstOfDataFile([high, low]: EntryWords): boolean {
  return (high! & (COMPRESSED | COPIED)) >>> 0 === COPIED && offsetOf(high!, low!) === 0;
}

/** Mends the entries of tables as a choice says. Deterministic: the same table, the same result. */
export class TableMender {
  readonly format: TableFormat;
  /** What L2 entries are judged by: a place in an external data file may lie anywhere. */
  readonly #l2Format: TableFormat;
  readonly #external: boolean;
  readonly #choice: RepairChoice;
  readonly #zeroing: Zeroing;

  constructor(image: Image, format: TableFormat, choice: RepairChoice) {
    this.format = format;
    this.#external = image.header.externalDataFile;
    this.#l2Format = this.#external ? { ...format, fileClusters: Infinity } : format;
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
    const at = tableAt + from * 4;
    if (this.#external && (entry[0]! & COMPRESSED) !== 0) return this.#uncompress(words, from, at);
    if (this.#external && isFirstOfDataFile(entry)) return this.#mendFirst(words, from, entry, at);
    const format = this.#l2Format;
    const flaw = flawOfL2Entry(entry, format);
    if (flaw === undefined) return 'sound';
    const codes = codesOfL2Entry(entry, format);
    if (!this.#chose(flaw, codes, at)) return flaw;
    const mended = mendedL2Entry(entry, flaw, format, this.#zeroing);
    if (mended === undefined) return flaw;
    if (flaw === 'unreadable') {
      words.set(mended, from);
      return 'zeroed';
    }
    const kept = withUnmended(entry, mended, this.#unmended(codes, at));
    words.set(kept, from);
    return kept.every((word, i) => word === entry[i]) ? flaw : 'mended';
  }

  /** Nothing is compressed in an external data file: by name the bit that says so is cleared. */
  #uncompress(words: Uint32Array, from: number, at: number): Mending {
    if (!choseFinding(this.#choice, ['L2_COMPRESSED_IN_DATA_FILE_IMAGE'], at)) return 'bits';
    words[from] = (words[from]! & ~COMPRESSED) >>> 0;
    return 'mended';
  }

  /** The entry of the cluster at 0 in an external data file, where nothing but bits can be wrong. */
  #mendFirst(words: Uint32Array, from: number, entry: EntryWords, at: number): Mending {
    const [high, low, zeroBits = 0, allocatedBits = 0] = entry as [
      number,
      number,
      number?,
      number?,
    ];
    const mended = [...entry];
    if (chose(this.#choice, ['L2_ENTRY_RESERVED_BITS'], at)) {
      mended[0] = (high & ~RESERVED_HIGH) >>> 0;
      mended[1] = (low & ~RESERVED_LOW) >>> 0;
    }
    const contradicts = (zeroBits & allocatedBits) !== 0;
    if (contradicts && chose(this.#choice, ['L2_SUBCLUSTERS_CONTRADICT'], at)) {
      mended[3] = (allocatedBits & ~zeroBits) >>> 0;
    }
    words.set(mended, from);
    return mended.every((word, i) => word === entry[i]) ? 'sound' : 'mended';
  }

  /**
   * Whether the choice asks for this entry to be mended. An unreadable entry is given up only by the class
   * `unreadable`, or by the name of a finding of that class: naming its stray bits is not enough.
   */
  #chose(flaw: Flaw, codes: readonly FindingCode[], at: number): boolean {
    if (flaw === 'bits') return chose(this.#choice, codes, at);
    const givingUp = codes.filter((code) => catalogEntry(code).remedy === 'unreadable');
    return this.#choice.classes.includes('unreadable') || choseFinding(this.#choice, givingUp, at);
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
