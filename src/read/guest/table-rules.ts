import type { TableFormat } from '../../l1l2/entry.js';

/** How the entries of an image's L2 tables are read, and which ones are refused. */
export interface TableMap {
  readonly format: TableFormat;
  /** Bits of the high word that must be clear in a standard entry. */
  readonly highMustBeClear: number;
  /** Bits of the low word that must be clear in a standard entry. */
  readonly lowMustBeClear: number;
  /** ZERO_FLAG where bit 0 is the zero flag, else 0. */
  readonly zeroFlag: number;
  /** First host cluster that no entry may point at. */
  readonly clustersEnd: number;
  /** First byte where no compressed cluster may begin. */
  readonly packedEnd: number;
  /** Where the file ends that L2 tables lie in; Infinity where what lies behind it counts as zeros. */
  readonly tablesEnd: number;
  /** Guest data lies in a file of its own, each cluster at its guest offset. */
  readonly external: boolean;
  /** Entries that break a rule without consequence for what is read are let pass, as QEMU does. */
  readonly tolerant: boolean;
}
