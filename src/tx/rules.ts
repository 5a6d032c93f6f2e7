import { assert } from '../base/assert.js';
import type { ByteRange } from '../io/device.js';
import { shadowWriteRanges, type WritePlan } from './plan.js';

const SECTOR_BYTES = 512;

/**
 * Holds a plan to what docs/crash-safety.md relies on, whoever made it: shadow writes touch neither
 * the first sector nor each other nor what is freed, and the switch lies inside the first sector.
 *
 * @throws QsnapError INTERNAL.
 */
export function assertSafe(plan: WritePlan): void {
  const { at, bytes } = plan.switch;
  assert(at >= 24 && at + bytes.length <= 96, 'the switch lies in bytes 24 to 95');
  const shadow = plan.shadow.flatMap((write) => [...shadowWriteRanges(write)]);
  for (const range of [...shadow, ...plan.punch]) {
    assert(range.at >= SECTOR_BYTES, 'only the switch touches the first sector');
  }
  assert(areDisjoint([...shadow, ...plan.punch]), 'new copies lie over nothing else');
}

function areDisjoint(ranges: readonly ByteRange[]): boolean {
  const sorted = ranges.toSorted((a, b) => a.at - b.at);
  return sorted.every((range, i) => {
    const before = sorted[i - 1];
    return before === undefined || before.at + before.length <= range.at;
  });
}
