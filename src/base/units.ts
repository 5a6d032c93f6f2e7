/**
 * Units as types. All are plain numbers at run time; the compiler refuses to mix them.
 * Offsets are bytes and exact: below 2^53.
 */
declare const unit: unique symbol;
type Unit<Name extends string> = number & { readonly [unit]: Name };

/** Byte position in the image file. */
export type HostOffset = Unit<'host offset'>;
/** Index of a cluster in the image file: host offset divided by the cluster size. */
export type HostCluster = Unit<'host cluster'>;

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

export function hostOffset(bytes: number): HostOffset {
  return bytes as HostOffset;
}

/** The cluster that `offset` lies in (floor). A shift would cut the offset to 32 bits. */
export function hostClusterContaining(offset: number, clusterBytes: number): HostCluster {
  return Math.floor(offset / clusterBytes) as HostCluster;
}

/** First byte of a host cluster. */
export function offsetOfCluster(cluster: number, clusterBytes: number): HostOffset {
  return (cluster * clusterBytes) as HostOffset;
}

/** How many clusters hold `bytes` (ceiling). */
export function clustersToHold(bytes: number, clusterBytes: number): number {
  return Math.ceil(bytes / clusterBytes);
}

export function isAligned(offset: number, clusterBytes: number): boolean {
  return offset % clusterBytes === 0;
}

/** `value` rounded up to a multiple of `multiple`. */
export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
