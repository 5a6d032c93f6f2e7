/** Disks of an image that would go, as the database compares them with `qsnap.shares`. */
export interface GoneSet {
  readonly first: number;
  readonly last: number;
  /**
   * By disk from 1: up to which one all go from there on; 0 where it stays. Undefined where all from the first to the
   * last go.
   */
  readonly reach: readonly number[] | undefined;
  /** As PostgreSQL writes an int4multirange; undefined as `reach`. */
  readonly ranges: string | undefined;
}

/** @param positions of the disks, ascending, at least one; the active disk never goes. */
export function goneSetOf(positions: readonly number[]): GoneSet {
  const [first, last] = [positions[0]!, positions.at(-1)!];
  if (last - first + 1 === positions.length) {
    return { first, last, reach: undefined, ranges: undefined };
  }
  const reach = new Array<number>(last).fill(0);
  const ranges: string[] = [];
  let runEnd = last;
  for (let i = positions.length - 1; i >= 0; i--) {
    const position = positions[i]!;
    reach[position - 1] = runEnd;
    const before = positions[i - 1];
    if (before === position - 1) continue;
    ranges.push(`[${position},${runEnd + 1})`);
    if (before !== undefined) runEnd = before;
  }
  return { first, last, reach, ranges: `{${ranges.reverse().join(',')}}` };
}
