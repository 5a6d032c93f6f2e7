/** The refcount table as it is stored, sound or not. */
export interface StoredRefcountTable {
  readonly at: number;
  /** By index: host offset of the block, 0 for none. It need not be where a block can be. */
  readonly blocks: Float64Array;
  /** By index: where blocks are said to lie that QEMU can't read, off a cluster's start. */
  readonly unreadable: ReadonlyMap<number, number>;
  /** Whether there is any entry, and all lead to a block of their own. */
  readonly isSound: boolean;
  /** By cluster, once they were compared: refcounts above REFCOUNT_CAP, in decimal, and not all. */
  readonly aboveCap: Map<number, string>;
}
