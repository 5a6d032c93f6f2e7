/**
 * A delete in place keeps to its stages only if each is flushed before the next one begins. Here
 * faults are planted in records of the real program, and each of them has to be seen.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { outsideEdit } from '../support/outside-edits.js';
import { callsOfEdit, record } from '../support/outside-records.js';
import {
  headerShortcomings,
  stageShortcomings,
  type PlannedStages,
} from '../support/outside-stages.js';
import { describeWithStrace, rangeOf, type SystemCall } from '../support/strace.js';

const SEED = 1;

/** Deletes of the two kinds: with new tables, and with refcounts and flags changed where they lie. */
const DELETES = [
  {
    name: 'delete --in-place',
    stages: [/shorter list/, /off the list/, /write new tables/, /switch to them/],
    headers: 2,
  },
  {
    name: 'delete --in-place, the last',
    stages: [/off the list/, /lower the refcounts/, /set the flags/],
    headers: 1,
  },
] as const;

/** The calls of a list, one after another. */
const inOrder = (list: readonly SystemCall[]): SystemCall[] =>
  list.map((call, line) => ({ ...call, began: line, over: line }));

describeWithStrace('a planted fault in a delete in place is seen', () => {
  describe.each(DELETES)('$name', ({ name, stages, headers }) => {
    let calls: readonly SystemCall[] = [];
    let plan: PlannedStages;

    beforeAll(async () => {
      const edit = outsideEdit(name);
      const recorded = await record('five-snapshots', edit, SEED);
      calls = callsOfEdit(recorded.calls, recorded.place, edit);
      plan = recorded.plan as PlannedStages;
    });

    const short = (list: readonly SystemCall[]): string[] => stageShortcomings(inOrder(list), plan);
    const placesOf = (wanted: string): number[] =>
      calls.flatMap((call, i) => (call.name === wanted ? [i] : []));
    const without = (index: number): SystemCall[] => calls.filter((_, i) => i !== index);
    const moved = (from: number, to: number): SystemCall[] => {
      const list = [...calls];
      list.splice(to, 0, ...list.splice(from, 1));
      return list;
    };

    test('none is planted in what the program does', () => {
      expect(plan.stages.map(({ what }) => what)).toEqual(
        stages.map((what) => expect.stringMatching(what) as string),
      );
      expect(placesOf('fdatasync').length).toBe(stages.length);
      expect(calls.map((call) => call.name)).toContain('fallocate');
      expect(short(calls)).toEqual([]);
      expect(headerShortcomings(inOrder(calls))).toEqual([]);
    });

    test('a flush left out, each in turn, and one that failed', () => {
      const flushes = placesOf('fdatasync');
      for (const [stage, index] of flushes.entries()) {
        const isLast = stage === flushes.length - 1;
        // The plan knows of a stage that follows; that the last one is flushed is the other rule.
        if (!isLast) expect(short(without(index)), `stage ${stage + 1}`).not.toEqual([]);
        else expect(headerShortcomings(inOrder(without(index)))).not.toEqual([]);
        const failed = calls.map((call, i) => (i === index ? { ...call, result: -1 } : call));
        expect(headerShortcomings(inOrder(failed))).not.toEqual([]);
      }
    });

    test('a write before the flush that it has to wait for, and one after its own', () => {
      const flushes = placesOf('fdatasync');
      for (const flush of flushes.slice(0, -1)) {
        expect(short(moved(flush + 1, flush)), 'the first of the next stage').not.toEqual([]);
        expect(short(moved(flush - 1, flush)), 'the last of this one').not.toEqual([]);
      }
    });

    test('the header beside other writes, whatever the plan', () => {
      const isHeader = (index: number): boolean => rangeOf(calls[index]!).offset < 512;
      const places = placesOf('pwrite64').filter(isHeader);
      expect(places.length).toBe(headers);
      for (const at of places) {
        expect(headerShortcomings(inOrder(without(at + 1))), 'no flush after').not.toEqual([]);
        if (at === 0) continue;
        expect(headerShortcomings(inOrder(without(at - 1))), 'no flush before').not.toEqual([]);
      }
    });

    test('a header that is never written, or in two writes', () => {
      const at = calls.findIndex((call) => call.name === 'pwrite64' && rangeOf(call).offset < 512);
      expect(short(without(at))).not.toEqual([]);
      const twice = calls.flatMap((call, i) => (i === at ? [call, call] : [call]));
      expect(short(twice)).not.toEqual([]);
      expect(headerShortcomings(inOrder(twice))).not.toEqual([]);
    });

    test('a hole too early, one too few, and one too many', () => {
      const [hole] = placesOf('fallocate');
      const last = placesOf('fdatasync').at(-1)!;
      expect(headerShortcomings(inOrder(moved(hole!, last)))).not.toEqual([]);
      expect(short(without(hole!))).not.toEqual([]);
      expect(short([...calls, calls[hole!]!])).not.toEqual([]);
    });

    test('each write left out, and each made again in the end', () => {
      for (const index of placesOf('pwrite64')) {
        expect(short(without(index))).not.toEqual([]);
        expect(short([...calls, calls[index]!])).not.toEqual([]);
      }
    });

    test('a call that is none of its own', () => {
      const other = { ...calls[0]!, name: 'ftruncate', args: '17</image>, 512' };
      expect(headerShortcomings(inOrder([...calls, other]))).not.toEqual([]);
    });
  });
});
