import { expect, test } from 'vitest';
import { NOWHERE, SegmentList } from '../../../../src/read/guest/segments.js';

test('neighbours in disk and file are one segment, cut to the range', () => {
  const segments = new SegmentList({ joinCompressed: true, dataEnd: Infinity, goesOn: false });
  segments.within(100, 1000);
  segments.add('data', 0, 512, 4096);
  segments.add('data', 512, 512, 4608);
  expect(segments.take(0)).toEqual([
    { kind: 'data', start: 100, length: 900, at: 4196, sectorBytes: 0 },
  ]);
});

test('what goes on elsewhere, or is of another kind, is a segment of its own', () => {
  const segments = new SegmentList({ joinCompressed: true, dataEnd: Infinity, goesOn: false });
  segments.within(0, 4096);
  segments.add('data', 0, 512, 4096);
  segments.add('data', 512, 512, 9000);
  segments.add('zero', 1024, 512, NOWHERE);
  segments.add('zero', 1536, 512, 512);
  expect(segments.take(1)).toHaveLength(3);
  expect(segments.take(0).map(({ at }) => at)).toEqual([512]);
});

test('compressed clusters are joined for a map and kept apart for a read', () => {
  for (const [joined, count] of [
    [true, 1],
    [false, 2],
  ] as const) {
    const segments = new SegmentList({ joinCompressed: joined, dataEnd: Infinity, goesOn: false });
    segments.within(0, 1024);
    segments.addCompressed(0, 512, 5000, 1024);
    segments.addCompressed(512, 512, 6000, 512);
    expect(segments.take(0)).toHaveLength(count);
  }
});
