import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { storedWords } from '../../../src/base/words.js';
import { decodeRefcounts, encodeRefcounts } from '../../../src/refcount/block.js';
import { BlockGroups } from '../../../src/refcount/block-groups.js';
import { Counts } from '../../../src/refcount/counts.js';
import { countList, setCounts } from '../../support/count-list.js';

const GROUPS = 4;

describe.each([1, 2, 4, 8, 16, 32, 64])('R2: %d bits', (width) => {
  const max = 2 ** Math.min(width, 32) - 1;
  const count = fc.oneof(fc.constantFrom(0, 1), fc.nat(Math.min(max, 5)), fc.nat(max));
  const group = fc.oneof(
    count.map((all) => new Array<number>(32).fill(all)),
    fc.array(count, { minLength: 32, maxLength: 32 }),
  );
  const block = fc.array(group, { minLength: GROUPS, maxLength: GROUPS }).map((all) => all.flat());

  test('groups are decoded as the whole block is, in any order', () => {
    const groups = new BlockGroups(width);
    const order = fc.array(fc.nat(GROUPS - 1), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(block, order, (list, indexes) => {
        const bytes = new Uint8Array(GROUPS * width * 4);
        encodeRefcounts(Uint32Array.from(list), width, bytes);
        for (const index of indexes) {
          groups.decode(storedWords(bytes), index);
          const expected = list.slice(index * 32, index * 32 + 32);
          expect(Array.from({ length: 32 }, (_, i) => groups.countAt(i))).toEqual(expected);
          expect(groups.planes.subarray(groups.depth).every((plane) => plane === 0)).toBe(true);
          const used = expected.reduce((bits, one, i) => (one === 0 ? bits : bits | (1 << i)), 0);
          expect(groups.used()).toBe(used);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('a block that is not there is one of zeros', () => {
    const groups = new BlockGroups(width);
    groups.decode(storedWords(new Uint8Array(width * 4).fill(0xff)), 0);
    expect(groups.used()).toBe(-1);
    groups.decode(undefined, 0);
    expect(groups.used()).toBe(0);
    expect(groups.depth).toBe(0);
  });

  test('every group is handed out, or belongs to a stretch in which nothing is to be done', () => {
    const groups = new BlockGroups(width);
    const seen = { handed: 0, alike: 0 };
    const alike = fc.nat(Math.min(max, 3)).map((all) => new Array<number>(GROUPS * 32).fill(all));
    const counted = fc.oneof(
      fc.constant<readonly number[]>([]),
      fc.array(fc.nat(GROUPS * 32 - 1), { maxLength: 3 }),
    );
    const clusters = fc.oneof(fc.constant(GROUPS * 32), fc.integer({ min: 1, max: GROUPS * 32 }));
    fc.assert(
      fc.property(fc.oneof(alike, block), counted, clusters, (list, changed, end) => {
        const bytes = new Uint8Array(GROUPS * width * 4);
        encodeRefcounts(Uint32Array.from(list), width, bytes);
        const was = list.map((is, i) => (changed.includes(i) ? (is === 0 ? 1 : is - 1) : is));
        const counts = new Counts(list.length, max, 7);
        setCounts(counts, was);
        const visited: string[] = [];
        const alike: string[] = [];
        let done = 0;
        const told = (from: number, inside: number, different: number): void => {
          expect(from).toBe(done);
          expect(Array.from({ length: 32 }, (_, i) => groups.countAt(i))).toEqual(
            list.slice(from, from + 32),
          );
          for (let i = 0; i < 32; i++) {
            expect((inside >>> i) & 1).toBe(from + i < end ? 1 : 0);
            const differs = from + i < end && list[from + i] !== was[from + i];
            expect((different >>> i) & 1).toBe(differs ? 1 : 0);
          }
          visited.push(`${from}`);
          done = Math.min(end, from + 32);
        };
        groups.visit(storedWords(bytes), counts, [0, end], told, (to) => {
          expect(to).toBeGreaterThan(done);
          expect(list[done]).not.toBe(0);
          for (let i = done; i < to; i++) expect([list[i], was[i]]).toEqual([list[done], list[i]]);
          alike.push(`${done} to ${to}`);
          done = to;
        });
        expect(done).toBe(end);
        if (end === list.length && changed.length === 0 && list.every((is) => is === list[0])) {
          expect(alike.length).toBe(list[0] === 0 ? 0 : 1);
        }
        seen.handed += visited.length;
        seen.alike += alike.length;
        done = 0;
        visited.length = 0;
        groups.visit(storedWords(bytes), counts, [0, end], told);
        expect(visited.length).toBe(Math.ceil(end / 32));
      }),
      { numRuns: 200 },
    );
    expect(Math.min(seen.handed, seen.alike)).toBeGreaterThan(20);
  });

  test('groups are encoded as the whole block is, over whatever lay there', () => {
    fc.assert(
      fc.property(block, (list) => {
        const counts = new Counts(list.length, max, 7);
        setCounts(counts, list);
        expect(countList(counts)).toEqual(list);
        const expected = new Uint8Array(GROUPS * width * 4);
        encodeRefcounts(Uint32Array.from(list), width, expected);
        const bytes = new Uint8Array(expected.length).fill(0xa5);
        const groups = new BlockGroups(width);
        for (let i = 0; i < GROUPS; i++) groups.encode(counts, i, storedWords(bytes), i);
        expect(bytes).toEqual(expected);
        bytes.fill(0xa5);
        groups.encodeBlock(counts, 0, storedWords(bytes));
        expect(bytes).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });
});

test('R1: a 64-bit refcount above 2^32 - 1 ends as that', () => {
  const bytes = new Uint8Array(256);
  bytes.set([0, 0, 0, 1, 0, 0, 0, 5], 8);
  const whole = new Uint32Array(32);
  decodeRefcounts(bytes, 64, whole);
  const groups = new BlockGroups(64);
  groups.decode(storedWords(bytes), 0);
  expect(Array.from({ length: 32 }, (_, i) => groups.countAt(i))).toEqual([...whole]);
  expect(whole[1]).toBe(0xffff_ffff);
});
