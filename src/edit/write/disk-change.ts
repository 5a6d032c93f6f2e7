/**
 * What a stretch of the active disk becomes: other bytes, or zeros that no host cluster is kept for. Changes come
 * ascending and do not overlap.
 */
export interface DiskChange {
  /** Guest offset in bytes. */
  readonly at: number;
  /** In bytes, more than 0. */
  readonly length: number;
  readonly kind: 'data' | 'zero';
}

/** The index of the first change that ends behind `at`. */
export function firstBehind(changes: readonly DiskChange[], at: number): number {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const change = changes[middle]!;
    if (change.at + change.length <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The parts of changes that lie in the range, as far as they lie in it. */
export function* changesWithin(
  changes: readonly DiskChange[],
  from: number,
  end: number,
): Generator<DiskChange> {
  for (let i = firstBehind(changes, from); i < changes.length; i++) {
    const change = changes[i]!;
    if (change.at >= end) return;
    const at = Math.max(from, change.at);
    yield { at, length: Math.min(end, change.at + change.length) - at, kind: change.kind };
  }
}
