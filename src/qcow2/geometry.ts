/**
 * Sizes that follow from cluster_bits, refcount_order and the L2 entry format. Computed once an
 * image, so that no other code repeats the arithmetic.
 */
export interface Geometry {
  readonly clusterBits: number;
  readonly clusterBytes: number;
  /** Bytes of an L2 entry: 8, or 16 with extended L2 entries. */
  readonly l2EntryBytes: 8 | 16;
  /** Entries of an L2 table, which fills one cluster. */
  readonly l2Entries: number;
  /** Guest bytes that one L2 table maps. */
  readonly l2CoverageBytes: number;
  readonly refcountBits: number;
  /** The highest refcount that the width can hold. Above 32 bits: qsnap's own 2^32 - 1. */
  readonly refcountMax: number;
  /** Host clusters that one refcount block counts. */
  readonly refcountBlockEntries: number;
}

/** Spec: Host cluster management, Cluster mapping, Extended L2 Entries. */
export function geometryOf(
  clusterBits: number,
  refcountOrder: number,
  extendedL2: boolean,
): Geometry {
  const clusterBytes = 2 ** clusterBits;
  const refcountBits = 2 ** refcountOrder;
  const l2EntryBytes = extendedL2 ? 16 : 8;
  const l2Entries = clusterBytes / l2EntryBytes;
  return {
    clusterBits,
    clusterBytes,
    l2EntryBytes,
    l2Entries,
    l2CoverageBytes: l2Entries * clusterBytes,
    refcountBits,
    refcountMax: 2 ** Math.min(refcountBits, 32) - 1,
    refcountBlockEntries: (clusterBytes * 8) / refcountBits,
  };
}

/**
 * How many L1 entries map a disk of `sizeBytes`; also the index of the first L1 entry that maps
 * VM state instead. Spec: Snapshots, "Size of the VM state".
 */
export function l1EntriesFor(sizeBytes: number, geometry: Geometry): number {
  return Math.ceil(sizeBytes / geometry.l2CoverageBytes);
}
