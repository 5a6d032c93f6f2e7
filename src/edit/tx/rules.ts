import { assert } from '../../base/assert.js';
import type { ByteRange } from '../../io/device.js';
import { shadowWriteRanges, type WritePlan } from './plan.js';
import { isHeaderWrite, type StagedPlan } from './staged-plan.js';

const SECTOR_BYTES = 512;
/** The bytes of the header that an edit may change. */
export const SWITCH_FROM = 24;
export const SWITCH_END = 96;

/**
 * Holds every plan to the rules that docs/crash-safety.md relies on. Shadow writes overlap neither the first sector
 * nor each other nor the ranges that become free or are given back. The switch lies inside the first sector.
 *
 * @throws QsnapError INTERNAL.
 */
export function assertSafe(plan: WritePlan): void {
  const { at, bytes } = plan.switch;
  const isFields = at >= SWITCH_FROM && at + bytes.length <= SWITCH_END;
  const isSector = at === 0 && bytes.length === SECTOR_BYTES;
  assert(isFields || isSector, 'the switch is fields in bytes 24 to 95, or the first sector');
  const shadow = plan.shadow.flatMap((write) => [...shadowWriteRanges(write)]);
  for (const range of [...shadow, ...plan.freed, ...plan.punch]) {
    assert(range.at >= SECTOR_BYTES, 'only the switch touches the first sector');
  }
  assert(areDisjoint([...shadow, ...plan.punch]), 'new copies lie over nothing else');
  assert(areDisjoint([...shadow, ...plan.freed]), 'new copies lie over nothing of the old state');
}

/**
 * The same for a plan in stages. The first write to the header leads to the new snapshot list. A write to the header
 * is alone in its stage and lies inside the first sector. No range that is written after the new list is given back
 * to the host.
 *
 * @throws QsnapError INTERNAL.
 */
export function assertSafeStages({ stages, unlists, punch }: StagedPlan): void {
  const headers = stages.filter(({ writes }) => writes.some(isHeaderWrite));
  assert(headers.length > 0, 'a shorter list is a write to the header');
  assert(stages[unlists] === headers[0], 'the new list is the first write to the header');
  for (const { writes } of headers) {
    const ranges = writes.flatMap((write) => [...shadowWriteRanges(write)]);
    const [{ at, length } = { at: 0, length: 0 }] = ranges;
    assert(ranges.length === 1, 'a write to the header is alone in its stage');
    assert(at >= SWITCH_FROM && at + length <= SWITCH_END, 'it lies in bytes 24 to 95');
  }
  for (const [index, { writes }] of stages.entries()) {
    const ranges = writes.flatMap((write) => [...shadowWriteRanges(write)]);
    const freed = index > unlists ? punch : [];
    assert(areDisjoint([...ranges, ...freed]), 'what is written lies over nothing else');
  }
}

/** Whether no byte lies in two of the ranges. */
export function areDisjoint(ranges: readonly ByteRange[]): boolean {
  const sorted = ranges.toSorted((a, b) => a.at - b.at);
  return sorted.every((range, i) => {
    const before = sorted[i - 1];
    return before === undefined || before.at + before.length <= range.at;
  });
}
