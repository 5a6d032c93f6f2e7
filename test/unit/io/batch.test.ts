import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  buffersOf,
  mergedRanges,
  readSpans,
  runInFlight,
  withoutFirst,
  writeSpans,
} from '../../../src/io/batch.js';
import type { Span } from '../../../src/io/batch.js';

const LIMITS = { gapBytes: 10, spanBytes: 100, buffers: 6 };
const read = (at: number, length: number) => ({ at, into: new Uint8Array(length) });
const write = (at: number, length: number) => ({ at, bytes: new Uint8Array(length) });
const shape = (spans: readonly Span[]) =>
  spans.map(({ at, end, parts }) => [at, end, parts.map((part) => [part.at, part.bytes.length])]);

test('requests within the gap share a span, in order of place', () => {
  const spans = readSpans([read(50, 5), read(0, 10), read(20, 20), read(66, 1)], LIMITS);
  expect(shape(spans)).toEqual([
    [
      0,
      55,
      [
        [0, 10],
        [20, 20],
        [50, 5],
      ],
    ],
    [66, 67, [[66, 1]]],
  ]);
});

test('memory that continues where the file continues becomes one part', () => {
  const memory = new Uint8Array(64);
  const at = (from: number, to: number) => ({ at: 1000 + from, into: memory.subarray(from, to) });
  const spans = readSpans([at(0, 16), at(16, 32), at(32, 64)], LIMITS);
  expect(shape(spans)).toEqual([[1000, 1064, [[1000, 64]]]]);
  spans[0]!.parts[0]!.bytes.fill(5);
  expect(memory).toEqual(new Uint8Array(64).fill(5));
});

test('a long request is split, and a short one is not', () => {
  expect(shape(readSpans([read(7, 250)], LIMITS))).toEqual([
    [7, 107, [[7, 100]]],
    [107, 207, [[107, 100]]],
    [207, 257, [[207, 50]]],
  ]);
  expect(shape(readSpans([read(0, 60), read(60, 60)], LIMITS))).toEqual([
    [0, 60, [[0, 60]]],
    [60, 120, [[60, 60]]],
  ]);
});

test('overlaps are marked, also those of a part inside another', () => {
  const spans = readSpans([read(0, 50), read(10, 5), read(50, 10)], LIMITS);
  expect(spans).toMatchObject([{ at: 0, end: 60, overlaps: true }]);
});

test('buffers of a span never pass the limit, and cover it', () => {
  const requests = Array.from({ length: 20 }, (_, i) => read(i * 3, 2));
  for (const span of readSpans(requests, LIMITS)) {
    const buffers = buffersOf(span, new Uint8Array(10));
    expect(buffers.length).toBeLessThanOrEqual(LIMITS.buffers);
    expect(buffers.reduce((sum, buffer) => sum + buffer.length, 0)).toBe(span.end - span.at);
  }
});

test('writes join only where nothing lies between', () => {
  const spans = writeSpans([write(30, 10), write(0, 10), write(10, 10), write(25, 0)], LIMITS);
  expect(shape(spans)).toEqual([
    [
      0,
      20,
      [
        [0, 10],
        [10, 10],
      ],
    ],
    [30, 40, [[30, 10]]],
  ]);
});

test.each([
  ['the same byte', [write(0, 10), write(9, 5)]],
  ['inside a long one', [write(0, 300), write(150, 1)]],
  ['the same place', [write(5, 1), write(5, 1)]],
])('writes that overlap are a bug of the caller: %s', (_, writes) => {
  expect(() => writeSpans(writes, LIMITS)).toThrow('do not overlap');
});

test('any requests: every byte of every request is in exactly one part', () => {
  const request = fc.tuple(fc.nat(400), fc.nat(150));
  fc.assert(
    fc.property(fc.array(request, { maxLength: 25 }), (places) => {
      const requests = places.map(([at, length]) => read(at, length));
      for (const span of readSpans(requests, LIMITS)) {
        expect(span.end - span.at).toBeLessThanOrEqual(LIMITS.spanBytes);
        for (const part of span.parts) {
          expect(part.at >= span.at && part.at + part.bytes.length <= span.end).toBe(true);
          for (let i = 0; i < part.bytes.length; i += 1) {
            expect(part.bytes[i], 'filled once').toBe(0);
            part.bytes[i] = ((part.at + i) % 250) + 1;
          }
        }
      }
      for (const { at, into } of requests) {
        into.forEach((byte, i) => {
          expect(byte).toBe(((at + i) % 250) + 1);
        });
      }
    }),
  );
});

test('what is left after a short call', () => {
  const buffers = [Uint8Array.of(1, 2), Uint8Array.of(3), Uint8Array.of(4, 5, 6)];
  expect(withoutFirst(buffers, 0)).toEqual(buffers);
  expect(withoutFirst(buffers, 2)).toEqual(buffers.slice(1));
  expect(withoutFirst(buffers, 4)).toEqual([Uint8Array.of(5, 6)]);
  expect(withoutFirst(buffers, 6)).toEqual([]);
});

test('ranges that touch or overlap become one', () => {
  const ranges = [
    { at: 20, length: 5 },
    { at: 0, length: 10 },
    { at: 10, length: 2 },
    { at: 3, length: 4 },
    { at: 15, length: 0 },
  ];
  expect(mergedRanges(ranges)).toEqual([
    { at: 0, length: 12 },
    { at: 20, length: 5 },
  ]);
});

test('work in flight is limited, and all of it is done', async () => {
  let running = 0;
  let most = 0;
  const done: number[] = [];
  const items = Array.from({ length: 20 }, (_, i) => i);
  await runInFlight(items, 3, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, item % 3));
    running -= 1;
    done.push(item);
  });
  expect(most).toBe(3);
  expect(done.sort((a, b) => a - b)).toEqual(items);
});

test('after a failure nothing new starts, and what runs is waited for', async () => {
  const started: number[] = [];
  let running = 0;
  const work = async (item: number) => {
    started.push(item);
    running += 1;
    await new Promise((resolve) => setTimeout(resolve, item === 1 ? 1 : 20));
    running -= 1;
    if (item === 1) throw new Error('one');
  };
  await expect(runInFlight([0, 1, 2, 3, 4, 5], 3, work)).rejects.toThrow('one');
  expect(running).toBe(0);
  expect(started).toEqual([0, 1, 2]);
});
