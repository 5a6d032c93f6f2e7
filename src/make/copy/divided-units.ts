import type { ExtentKind, GuestDisk } from '../../read/guest/disk.js';
import type { DividedUnit } from './copy-steps.js';
import type { GuestRange } from './zero-ranges.js';

const ZERO_KINDS: ReadonlySet<ExtentKind> = new Set(['zero', 'unallocated', 'preallocated']);

/**
 * Which of these units are written, although only zeros and kept stretches share them. The first
 * zeros make a note for the whole unit if the backing file has nothing but holes in the rest of it;
 * else they are written, and the rest is copied from the backing file.
 *
 * @param units ascending.
 * @param backing of the new image; undefined if it isn't known: it may have anything.
 * QEMU: block/qcow2.c, qcow2_co_pwrite_zeroes; measured with 7.2.
 */
export async function writtenUnits(
  units: readonly DividedUnit[],
  backing: GuestDisk | undefined,
): Promise<readonly DividedUnit[]> {
  if (backing === undefined || units.length === 0) return units;
  const written = new Set<DividedUnit>();
  const end = Math.min(units.at(-1)!.to, await backing.sizeBytes());
  let next = 0;
  for await (const batch of backing.extents(Math.min(units[0]!.from, end), end)) {
    for (const { start, length, kind } of batch) {
      const extent = { from: start, to: start + length };
      while (next < units.length && units[next]!.to <= start) next += 1;
      if (ZERO_KINDS.has(kind)) continue;
      for (let i = next; i < units.length && units[i]!.from < extent.to; i += 1) {
        if (isInRest(extent, units[i]!)) written.add(units[i]!);
      }
    }
  }
  return units.filter((unit) => written.has(unit));
}

/** Whether a range has bytes of the unit that are not written first. */
function isInRest({ from, to }: GuestRange, { first, ...unit }: DividedUnit): boolean {
  const isBefore = Math.max(from, unit.from) < Math.min(to, first.from);
  const isBehind = Math.max(from, first.to) < Math.min(to, unit.to);
  return isBefore || isBehind;
}
