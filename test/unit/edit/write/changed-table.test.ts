import { describe, expect, test } from 'vitest';
import { changedTable } from '../../../../src/edit/write/changed-table.js';
import type { DiskChange } from '../../../../src/edit/write/disk-change.js';
import { COMPRESSED, ZERO_FLAG } from '../../../../src/l1l2/entry.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';

const CLUSTER = 65_536;
const PART = CLUSTER / 32;
const rules = (version: 2 | 3, hasBacking: boolean, extended = false) => ({
  format: { geometry: geometryOf(16, 4, extended), version, fileClusters: Infinity },
  hasBacking,
});
const zero = (at: number, length: number): DiskChange => ({ at, length, kind: 'zero' });
const data = (at: number, length: number): DiskChange => ({ at, length, kind: 'data' });

/** A table whose first entries are given by (high, low) pairs. */
function table(...pairs: readonly (readonly number[])[]): Uint32Array {
  const words = new Uint32Array(CLUSTER / 4);
  words.set(pairs.flat());
  return words;
}
const NORMAL = [0, 0x50000] as const;
const PACKED = [COMPRESSED, 0x50200] as const;
const FLAGGED = [0, ZERO_FLAG] as const;
const EMPTY = [0, 0] as const;

describe('entries of 64 bits', () => {
  test.each([
    ['data over data', NORMAL, data(0, CLUSTER), [0], EMPTY],
    ['a byte over data', NORMAL, data(5, 1), [0], EMPTY],
    ['a byte over a packed cluster', PACKED, data(5, 1), [0], EMPTY],
    ['a byte over nothing', EMPTY, data(5, 1), [0], EMPTY],
    ['zeros over data', NORMAL, zero(0, CLUSTER), [], FLAGGED],
    ['zeros over a part of data', NORMAL, zero(512, 512), [0], EMPTY],
    ['zeros over nothing, which is not zeros', EMPTY, zero(0, CLUSTER), [], FLAGGED],
    ['zeros over a part of it', EMPTY, zero(512, 512), [0], EMPTY],
  ] as const)('%s, over a backing file', (_, entry, change, placed, becomes) => {
    const made = changedTable(table(entry), 0, [change], rules(3, true))!;
    expect(made.placed).toEqual(placed);
    expect([...made.words.subarray(0, 2)]).toEqual(becomes);
  });

  test.each([
    ['a flag', FLAGGED, 3, true],
    ['nothing, without a backing file', EMPTY, 3, false],
    ['nothing in version 2, without a backing file', EMPTY, 2, false],
  ] as const)('what reads as zeros by %s stays', (_, entry, version, hasBacking) => {
    for (const change of [zero(0, CLUSTER), zero(512, 512)]) {
      expect(changedTable(table(entry), 0, [change], rules(version, hasBacking))).toBeUndefined();
    }
  });

  test('version 2 has zeros as unallocated, or as a cluster of them', () => {
    const alone = changedTable(table(NORMAL), 0, [zero(0, CLUSTER)], rules(2, false))!;
    expect([alone.placed, ...alone.words.subarray(0, 2)]).toEqual([[], 0, 0]);
    const over = changedTable(table(NORMAL), 0, [zero(0, CLUSTER)], rules(2, true))!;
    expect(over.placed).toEqual([0]);
  });

  test('changes that meet in a cluster change it once; others are left alone', () => {
    const changes = [data(0, CLUSTER + 512), zero(CLUSTER + 512, CLUSTER), data(3 * CLUSTER, 512)];
    const words = table(NORMAL, NORMAL, NORMAL, NORMAL, NORMAL);
    const made = changedTable(words, 0, changes, rules(3, false))!;
    expect(made.placed).toEqual([0, 1, 2, 3]);
    expect([...made.words.subarray(8, 10)]).toEqual(NORMAL);
  });

  test('a table in the middle of the disk', () => {
    const from = 8192 * CLUSTER;
    const changes = [data(0, 512), data(from + CLUSTER, 512), data(2 * from, 512)];
    expect(changedTable(table(), from, changes, rules(3, false))!.placed).toEqual([1]);
    expect(changedTable(table(), from, [data(0, 512)], rules(3, false))).toBeUndefined();
  });
});

describe('entries with subclusters', () => {
  const entry = (zeros: number, held: number) => [0, 0x50000, zeros >>> 0, held >>> 0] as const;
  const made = (from: readonly number[], change: DiskChange, hasBacking: boolean) => {
    const result = changedTable(table(from), 0, [change], rules(3, hasBacking, true));
    return result && { placed: result.placed, entry: [...result.words.subarray(0, 4)] };
  };

  test.each([
    ['data in one', entry(0, 1), data(PART, 512), true, [0], [0, 0, 0, 3]],
    ['data over zeros', entry(2, 1), data(PART, PART), true, [0], [0, 0, 0, 3]],
    ['zeros in one, over a backing file', entry(0, 3), zero(PART, PART), true, [], entry(2, 1)],
    ['zeros in one, without', entry(0, 3), zero(PART, PART), false, [], entry(0, 1)],
    ['zeros in a part of one', entry(0, 3), zero(PART, 512), true, [0], [0, 0, 0, 3]],
    ['zeros in all', entry(0, 3), zero(0, CLUSTER), true, [], [0, 0, 0xffff_ffff, 0]],
    ['zeros in all, without', entry(0, 3), zero(0, CLUSTER), false, [], [0, 0, 0, 0]],
    [
      'zeros over a packed one',
      [COMPRESSED, 0x50200, 0, 0],
      zero(0, PART),
      false,
      [0],
      [0, 0, 0, 0xffff_fffe],
    ],
  ] as const)('%s', (_, from, change, hasBacking, placed, becomes) => {
    expect(made(from, change, hasBacking)).toEqual({ placed, entry: becomes });
  });

  test.each([
    ['zeros', entry(3, 0), true],
    ['nothing, without a backing file', entry(0, 0), false],
  ] as const)('what reads as zeros by %s stays', (_, from, hasBacking) => {
    expect(made(from, zero(0, 2 * PART), hasBacking)).toBeUndefined();
  });
});
