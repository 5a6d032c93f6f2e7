/**
 * Sizes, and the arithmetic of clusters. A name says its unit: `at` and `…At` are byte positions in a file, `…Bytes`
 * lengths, `cluster` the number of a host cluster. All are exact: below 2^53.
 */
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

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
