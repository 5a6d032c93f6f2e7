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

/** Whose pointers the tally of an edit tells apart. */
export const EDIT_SIDES = ['before', 'kept', 'written'] as const;

/** Host offsets of L2 tables, ascending, and how often each side points at them. */
export type TallyOf<Side extends string> = { readonly offsets: Float64Array } & Readonly<
  Record<Side, Uint32Array>
>;

/** Collects pointers L1 by L1; `finish` sorts, where they did not come in order. */
export class L2TallyBuilder<Side extends string> {
  readonly #slots = new Map<number, number>();
  readonly #offsets: number[] = [];
  readonly #counts: Record<Side, number[]>;
  readonly #sides: readonly Side[];
  #isAscending = true;

  constructor(sides: readonly Side[]) {
    this.#sides = sides;
    this.#counts = Object.fromEntries(sides.map((side) => [side, []])) as unknown as Record<
      Side,
      number[]
    >;
  }

  /** Adds every pointer of an L1 table. Entries of 0 point nowhere. */
  add(words: Uint32Array, ...sides: readonly Side[]): void {
    for (let i = 0; i < words.length; i += 2) {
      const offset = offsetOf(words[i]!, words[i + 1]!);
      if (offset !== 0) this.addPointers(offset, 1, sides);
    }
  }

  /** Adds pointers to one table. */
  addPointers(offset: number, pointers: number, sides: readonly Side[]): void {
    const slot = this.#slotOf(offset);
    for (const side of sides) this.#counts[side][slot]! += pointers;
  }

  #slotOf(offset: number): number {
    const known = this.#slots.get(offset);
    if (known !== undefined) return known;
    const slot = this.#offsets.length;
    this.#isAscending &&= slot === 0 || this.#offsets[slot - 1]! < offset;
    this.#slots.set(offset, slot);
    this.#offsets.push(offset);
    for (const side of this.#sides) this.#counts[side].push(0);
    return slot;
  }

  finish(): TallyOf<Side> {
    const order = this.#isAscending ? undefined : this.#order();
    const sorted = (values: readonly number[]): readonly number[] =>
      order === undefined ? values : order.map((slot) => values[slot]!);
    const sides = this.#sides.map((side) => [side, Uint32Array.from(sorted(this.#counts[side]))]);
    const offsets = Float64Array.from(sorted(this.#offsets));
    return { offsets, ...Object.fromEntries(sides) } as TallyOf<Side>;
  }

  /** Slots by their offsets. */
  #order(): readonly number[] {
    const offsets = this.#offsets;
    return [...offsets.keys()].sort((a, b) => offsets[a]! - offsets[b]!);
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
