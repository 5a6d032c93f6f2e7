import { expect, test } from 'vitest';
import { NOWHERE, RunList } from '../../../src/guest/runs.js';

test('neighbours in disk and file are one run, cut to the range', () => {
  const runs = new RunList({ joinCompressed: true, dataEnd: Infinity, goesOn: false });
  runs.within(100, 1000);
  runs.add('data', 0, 512, 4096);
  runs.add('data', 512, 512, 4608);
  expect(runs.take(0)).toEqual([
    { kind: 'data', start: 100, length: 900, at: 4196, sectorBytes: 0 },
  ]);
});

test('what goes on elsewhere, or is of another kind, is a run of its own', () => {
  const runs = new RunList({ joinCompressed: true, dataEnd: Infinity, goesOn: false });
  runs.within(0, 4096);
  runs.add('data', 0, 512, 4096);
  runs.add('data', 512, 512, 9000);
  runs.add('zero', 1024, 512, NOWHERE);
  runs.add('zero', 1536, 512, 512);
  expect(runs.take(1)).toHaveLength(3);
  expect(runs.take(0).map(({ at }) => at)).toEqual([512]);
});

test('compressed clusters are joined for a map and kept apart for a read', () => {
  for (const [joined, count] of [
    [true, 1],
    [false, 2],
  ] as const) {
    const runs = new RunList({ joinCompressed: joined, dataEnd: Infinity, goesOn: false });
    runs.within(0, 1024);
    runs.addCompressed(0, 512, 5000, 1024);
    runs.addCompressed(512, 512, 6000, 512);
    expect(runs.take(0)).toHaveLength(count);
  }
});
