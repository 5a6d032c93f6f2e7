import { firstDifference } from '../../base/bytes.js';

/** Ranges are told in units of this; the first difference is told to the byte. */
const UNIT_BYTES = 512;

/** Guest bytes that differ, in whole sectors. */
export interface DifferentRange {
  readonly start: number;
  readonly length: number;
}

/** Gathers what differs, in ascending order; keeps the first ranges and counts the rest. */
export class Differences {
  /** Guest offset of the first byte that differs. */
  firstAt: number | undefined;
  /** All ranges, kept or not. */
  rangeCount = 0;
  /** Bytes of all ranges. */
  bytes = 0;
  readonly ranges: { start: number; length: number }[] = [];
  readonly #keep: number;
  #end = -1;

  /** @param keep how many ranges are kept. */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** Compares two stretches of the same length, at guest offset `at`. */
  compare(a: Uint8Array, b: Uint8Array, at: number): void {
    const end = at + a.length;
    let from = at;
    while (from < end) {
      const found = at + firstDifference(a, b, from - at);
      if (found >= end) return;
      this.firstAt ??= found;
      const start = Math.max(from, Math.floor(found / UNIT_BYTES) * UNIT_BYTES);
      from = Math.min(end, (Math.floor(found / UNIT_BYTES) + 1) * UNIT_BYTES);
      this.#add(start, from);
    }
  }

  #add(start: number, end: number): void {
    this.bytes += end - start;
    if (start === this.#end) {
      const last = this.ranges.at(-1);
      // The range that grows is the last one, unless that is not kept any more.
      if (last !== undefined && last.start + last.length === start) last.length += end - start;
    } else {
      this.rangeCount += 1;
      if (this.ranges.length < this.#keep) this.ranges.push({ start, length: end - start });
    }
    this.#end = end;
  }
}
