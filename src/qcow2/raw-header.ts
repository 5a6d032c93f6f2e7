/** A header as decoded, before any judgement: every field as stored; 64-bit fields as bigint. */
export interface RawHeader {
  readonly magic: number;
  readonly version: number;
  readonly backingNameAt: bigint;
  readonly backingNameBytes: number;
  readonly clusterBits: number;
  readonly sizeBytes: bigint;
  readonly cryptMethod: number;
  readonly l1Entries: number;
  readonly l1At: bigint;
  readonly refcountTableAt: bigint;
  readonly refcountTableClusters: number;
  readonly snapshotCount: number;
  readonly snapshotTableAt: bigint;
  readonly incompatible: bigint;
  readonly compatible: bigint;
  readonly autoclear: bigint;
  readonly refcountOrder: number;
  readonly headerBytes: number;
  readonly compressionType: number;
}
