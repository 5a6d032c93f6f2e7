import { describe, expect, test } from 'vitest';
import {
  actionOf,
  stepsOf,
  type CopyRange,
  type StepRule,
} from '../../../../src/make/copy/copy-steps.js';
import { diskOf, type Stretch } from './disks.js';

const plain: StepRule = { unitBytes: 4096, below: undefined, everything: false, compressed: false };

async function stepsOfDisk(stretches: readonly Stretch[], rule = plain): Promise<CopyRange[][]> {
  const steps: CopyRange[][] = [];
  for await (const step of stepsOf(diskOf(stretches), rule)) steps.push(step);
  return steps;
}

const brief = (runs: readonly CopyRange[]): string[] =>
  runs.map(({ from, to, action }) => `${action} ${from}-${to}`);

test('what becomes of each kind of extent, alone and over a backing file', () => {
  const kinds = ['data', 'compressed', 'preallocated', 'zero', 'backing', 'unallocated'] as const;
  const actions = (below: number | undefined, depth: number): string =>
    kinds
      .map((kind) => actionOf({ start: 0, length: 1, kind, depth }, { ...plain, below }))
      .join(' ');
  expect(actions(undefined, 1)).toBe('copy copy zero zero copy zero');
  expect(actions(1, 0)).toBe('copy copy zero zero keep keep');
  expect(actions(1, 1)).toBe('keep keep keep keep keep keep');
});

describe('runs', () => {
  test('are whole clusters; a cluster of which a part is data is copied', async () => {
    const [step] = await stepsOfDisk([
      { length: 4096, kind: 'unallocated' },
      { length: 512, kind: 'zero' },
      { length: 512, kind: 'data' },
      { length: 3072 + 4096, kind: 'zero' },
    ]);
    expect(brief(step!)).toEqual(['zero 0-4096', 'copy 4096-8192', 'zero 8192-12288']);
    // Zeros are looked for only where there is data.
    expect(step![1]!.parts).toEqual([{ from: 4608, to: 5120 }]);
  });

  test('over a backing file a unit of several pieces says what is written there first', async () => {
    const stretches: Stretch[] = [
      { length: 512, kind: 'data', depth: 1 },
      { length: 4096, kind: 'zero' },
      { length: 512, kind: 'zero', at: 0 },
      { length: 3072 + 4096, kind: 'data', depth: 1 },
    ];
    const [step] = await stepsOfDisk(stretches, { ...plain, below: 1 });
    expect(brief(step!)).toEqual(['copy 0-8192', 'keep 8192-12288']);
    expect(step![0]!.parts).toEqual([]);
    expect(step![0]!.divided).toEqual([
      { from: 0, to: 4096, first: { from: 512, to: 4096 } },
      { from: 4096, to: 8192, first: { from: 4096, to: 4608 } },
    ]);
    const [alone] = await stepsOfDisk(stretches);
    expect(alone!.every(({ divided }) => divided.length === 0)).toBe(true);
  });

  test('compressed, the cluster that the disk ends in is not kept', async () => {
    const stretches: Stretch[] = [{ length: 5000, kind: 'data', depth: 1 }];
    const kept = { ...plain, below: 1 };
    const [step] = await stepsOfDisk(stretches, { ...kept, compressed: true });
    expect(brief(step!)).toEqual(['keep 0-4096', 'copy 4096-5000']);
    expect(brief((await stepsOfDisk(stretches, kept))[0]!)).toEqual(['keep 0-5000']);
  });

  test('over a backing file a cluster of zeros and kept bytes is copied, too', async () => {
    const stretches: Stretch[] = [
      { length: 1024, kind: 'zero' },
      { length: 7168, kind: 'data', depth: 1 },
    ];
    const [step] = await stepsOfDisk(stretches, { ...plain, below: 1 });
    expect(brief(step!)).toEqual(['copy 0-4096', 'keep 4096-8192']);
  });

  test('the last one ends with the disk', async () => {
    const [step] = await stepsOfDisk([{ length: 5000, kind: 'data' }]);
    expect(brief(step!)).toEqual(['copy 0-5000']);
  });
});

test('a step is not much longer than 4 MiB, and steps follow each other at clusters', async () => {
  const steps = await stepsOfDisk([
    { length: 512, kind: 'unallocated' },
    { length: 30 * 2 ** 20, kind: 'data' },
    { length: 2 ** 26, kind: 'zero' },
    { length: 700, kind: 'data' },
  ]);
  let end = 0;
  for (const step of steps) {
    expect(step[0]!.from).toBe(end);
    end = step.at(-1)!.to;
    if (step !== steps.at(-1)) expect(end % 4096).toBe(0);
    const copied = step.filter(({ action }) => action === 'copy');
    const bytes = copied.reduce((sum, { from, to }) => sum + to - from, 0);
    expect(bytes).toBeLessThan(6.1 * 2 ** 20);
  }
  expect(end).toBe(512 + 30 * 2 ** 20 + 2 ** 26 + 700);
  expect(steps.length).toBeGreaterThan(5);
});
