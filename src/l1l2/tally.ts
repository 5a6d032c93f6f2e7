import { offsetOf } from './entry.js';

/**
 * How often each L2 table is pointed at: by the L1 tables as they are, by those that an edit keeps,
 * and by those that it writes. A data cluster's refcount is the number of L1 paths to it, so these
 * weights are all that the walk over the L2 tables needs.
 */
export interface L2Tally {
  /** Host offsets of all L2 tables, ascending. */
  readonly offsets: Float64Array;
  /** Pointers from the L1 tables before the edit. */
  readonly before: Uint32Array;
  /** Pointers from L1 tables that the edit leaves in place. */
  readonly kept: Uint32Array;
  /** Pointers from L1 tables that the edit writes. */
  readonly written: Uint32Array;
}

export type TallySide = 'before' | 'kept' | 'written';

/** Collects pointers L1 by L1; `finish` sorts. */
export class L2TallyBuilder {
  readonly #slots = new Map<number, number>();
  readonly #offsets: number[] = [];
  readonly #counts: Record<TallySide, number[]> = { before: [], kept: [], written: [] };

  /** Adds every pointer of an L1 table. Entries of 0 point nowhere. */
  add(words: Uint32Array, ...sides: readonly TallySide[]): void {
    for (let i = 0; i < words.length; i += 2) {
      const offset = offsetOf(words[i]!, words[i + 1]!);
      if (offset === 0) continue;
      const slot = this.#slotOf(offset);
      for (const side of sides) this.#counts[side][slot]! += 1;
    }
  }

  #slotOf(offset: number): number {
    const known = this.#slots.get(offset);
    if (known !== undefined) return known;
    const slot = this.#offsets.length;
    this.#slots.set(offset, slot);
    this.#offsets.push(offset);
    for (const side of Object.values(this.#counts)) side.push(0);
    return slot;
  }

  finish(): L2Tally {
    const order = Uint32Array.from(this.#offsets.keys());
    order.sort((a, b) => this.#offsets[a]! - this.#offsets[b]!);
    const sorted = (side: TallySide): Uint32Array =>
      Uint32Array.from(order, (slot) => this.#counts[side][slot]!);
    return {
      offsets: Float64Array.from(order, (slot) => this.#offsets[slot]!),
      before: sorted('before'),
      kept: sorted('kept'),
      written: sorted('written'),
    };
  }
}

/** Index of `offset` in the ascending `offsets`. It must be there. */
export function indexOfOffset(offsets: Float64Array, offset: number): number {
  let low = 0;
  let high = offsets.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (offsets[middle]! < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
