import { offsetOf } from '../l1l2/entry.js';
import { DiskSets, NO_DISKS, type DiskNumber, type DiskSet } from './disk-sets.js';

/** Which disks point at which L2 table: all that the L1 tables say. */
export interface Pointers {
  /** Host offsets of all L2 tables, ascending. */
  readonly offsets: Float64Array;
  /** By index: the disks whose L1 points at the table, each as often as it does. */
  readonly sets: Uint32Array;
  readonly disks: DiskSets;
}

/** Collects pointers, disk by disk in ascending order. */
export class PointerCollector {
  readonly #disks = new DiskSets();
  readonly #slots = new Map<number, number>();
  readonly #offsets: number[] = [];
  readonly #sets: DiskSet[] = [];
  #isAscending = true;
  /** The last extension of a set: the set, the disk, and the result. Neighbouring tables mostly need the same. */
  #extended: DiskSet = NO_DISKS;
  #by: DiskNumber = -1;
  #became: DiskSet = NO_DISKS;

  /** Adds every pointer of an L1 table in host order. Entries without an offset point nowhere. */
  addTable(disk: DiskNumber, words: Uint32Array): void {
    for (let i = 0; i < words.length; i += 2) {
      const offset = offsetOf(words[i]!, words[i + 1]!);
      if (offset !== 0) this.add(disk, offset);
    }
  }

  /** Adds a pointer to the table at a host offset. */
  add(disk: DiskNumber, offset: number): void {
    const known = this.#slots.get(offset);
    if (known !== undefined) {
      this.#sets[known] = this.#with(this.#sets[known]!, disk);
      return;
    }
    const slot = this.#offsets.length;
    this.#isAscending &&= slot === 0 || this.#offsets[slot - 1]! < offset;
    this.#slots.set(offset, slot);
    this.#offsets.push(offset);
    this.#sets.push(this.#with(NO_DISKS, disk));
  }

  finish(): Pointers {
    const [offsets, sets] = [Float64Array.from(this.#offsets), Uint32Array.from(this.#sets)];
    if (this.#isAscending) return { offsets, sets, disks: this.#disks };
    const order = [...offsets.keys()].sort((a, b) => offsets[a]! - offsets[b]!);
    return {
      offsets: Float64Array.from(order, (slot) => offsets[slot]!),
      sets: Uint32Array.from(order, (slot) => sets[slot]!),
      disks: this.#disks,
    };
  }

  #with(set: DiskSet, disk: DiskNumber): DiskSet {
    if (set !== this.#extended || disk !== this.#by) {
      this.#became = this.#disks.with(set, disk);
      this.#extended = set;
      this.#by = disk;
    }
    return this.#became;
  }
}

/** By table: how many pointers lead to it, from the disks for which `counts` is true. */
export function countPointers(
  { sets, disks }: Pointers,
  counts: (disk: DiskNumber) => boolean,
): Uint32Array {
  const sums = disks.sums((disk) => (counts(disk) ? 1 : 0));
  return Uint32Array.from(sets, (set) => sums[set]!);
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
