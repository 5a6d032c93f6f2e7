/** A disk of an image by number: 0 is the active disk, `i + 1` the snapshot at position `i` of the table. */
export type DiskNumber = number;

/** The active disk's number. */
export const ACTIVE_DISK: DiskNumber = 0;

/** Disks, each as often as it points at something; a number that `DiskSets` gave out. */
export type DiskSet = number;

/** No disk. */
export const NO_DISKS: DiskSet = 0;

/**
 * The sets of disks that share a table or a cluster, each kept once: a set is another set and one disk more. A table or
 * cluster needs only the number of its set, however many snapshots the image has. There are few sets, since neighbours
 * are mostly shared by the same snapshots.
 *
 * ```
 * set     0      1        2          3
 * is     {}   0 + {0}  1 + {1}   1 + {2}
 * disks  {}    {0}     {0, 1}    {0, 2}
 * ```
 */
export class DiskSets {
  /** By set: the set that it is made from, and the disk that it has besides. */
  readonly #parents: DiskSet[] = [NO_DISKS];
  readonly #lasts: DiskNumber[] = [-1];
  readonly #children = new Map<string, DiskSet>();
  readonly #unions = new Map<string, DiskSet>();

  /** How many sets there are, the empty one included. */
  get size(): number {
    return this.#parents.length;
  }

  /** The set with a disk more. Disks are added in ascending order; the same one again counts again. */
  with(set: DiskSet, disk: DiskNumber): DiskSet {
    const key = `${set}+${disk}`;
    const known = this.#children.get(key);
    if (known !== undefined) return known;
    const made = this.#parents.length;
    this.#parents.push(set);
    this.#lasts.push(disk);
    this.#children.set(key, made);
    return made;
  }

  /** The set of the disks that are in either. Both have each disk once, as `distinct` makes them. */
  union(a: DiskSet, b: DiskSet): DiskSet {
    if (a === b || b === NO_DISKS) return a;
    if (a === NO_DISKS) return b;
    const key = a < b ? `${a},${b}` : `${b},${a}`;
    const known = this.#unions.get(key);
    if (known !== undefined) return known;
    const made = this.#of([...this.disksOf(a), ...this.disksOf(b)].sort((x, y) => x - y));
    this.#unions.set(key, made);
    return made;
  }

  /** The set with each of its disks once. */
  distinct(set: DiskSet): DiskSet {
    return this.#of(this.disksOf(set));
  }

  /** The set of ascending disks, each taken once. */
  #of(disks: readonly DiskNumber[]): DiskSet {
    let set = NO_DISKS;
    for (const disk of disks)
      if (set === NO_DISKS || this.#lasts[set] !== disk) set = this.with(set, disk);
    return set;
  }

  /** The disks of a set, ascending, each as often as it is in it. */
  disksOf(set: DiskSet): readonly DiskNumber[] {
    const disks: DiskNumber[] = [];
    for (let at = set; at !== NO_DISKS; at = this.#parents[at]!) disks.push(this.#lasts[at]!);
    return disks.reverse();
  }

  /** By set: what comes of `empty` when `next` takes its disks one after the other, ascending. */
  fold<T>(empty: T, next: (so: T, disk: DiskNumber) => T): readonly T[] {
    const folded = [empty];
    // A set comes after the one that it is made from.
    for (let set = 1; set < this.size; set++) {
      folded.push(next(folded[this.#parents[set]!]!, this.#lasts[set]!));
    }
    return folded;
  }

  /** By set: 1 where the disk is in it, else 0. */
  having(disk: DiskNumber): Uint8Array {
    const having = new Uint8Array(this.size);
    // A set comes after the one that it is made from.
    for (let set = 1; set < having.length; set++) {
      having[set] = this.#lasts[set] === disk ? 1 : having[this.#parents[set]!]!;
    }
    return having;
  }

  /** By set: the sum of `of` over its disks. */
  sums(of: (disk: DiskNumber) => number): Float64Array {
    const sums = new Float64Array(this.size);
    // A set comes after the one that it is made from.
    for (let set = 1; set < sums.length; set++) {
      sums[set] = sums[this.#parents[set]!]! + of(this.#lasts[set]!);
    }
    return sums;
  }

  /**
   * By disk: the sum of what the sets have that it is in. The way to the empty set leads from each set through all its
   * disks, so that what a set has goes to its last disk and on to the set that it is made from.
   *
   * @param of by set, each with every disk once.
   * @param disks how many there are.
   */
  sumsByDisk(of: Float64Array, disks: number): Float64Array {
    const sums = new Float64Array(disks);
    const from = new Float64Array(this.size);
    from.set(of.subarray(0, from.length));
    for (let set = this.size - 1; set > NO_DISKS; set--) {
      sums[this.#lasts[set]!]! += from[set]!;
      from[this.#parents[set]!]! += from[set]!;
    }
    return sums;
  }
}
