/** The first sector with other extensions in it, for a switch that writes all of it. */
export interface OtherFirstSector {
  readonly bytes: Uint8Array;
  /** What is made of the autoclear bits that stay as they are. */
  readonly autoclear: (kept: bigint) => bigint;
}
