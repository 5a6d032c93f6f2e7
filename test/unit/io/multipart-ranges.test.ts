import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boundaryOf, MultipartRanges } from '../../../src/io/multipart-ranges.js';

const FILE = new Uint8Array(5000).map((_, i) => (i * 7) % 251);

interface Sent {
  readonly first: number;
  readonly end: number;
  /** What the part has where it is not the file's. */
  readonly data?: Uint8Array;
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

/** A body as nginx sends it. */
function bodyOf(parts: readonly Sent[], { boundary = 'B', fields = '' } = {}): Uint8Array {
  const pieces = parts.flatMap(({ first, end, data = FILE.subarray(first, end) }) => [
    latin1(`\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n${fields}`),
    latin1(`Content-Range: bytes ${first}-${end - 1}/5000\r\n\r\n`),
    data,
  ]);
  return Uint8Array.from(Buffer.concat([...pieces, latin1(`\r\n--${boundary}--\r\n`)]));
}

/** Parts that were there whole, and the memory of the one that was not. */
function taken(pieces: readonly Uint8Array[], wanted: readonly number[], boundary = 'B') {
  const whole: [number, Uint8Array][] = [];
  let begun: [number, Uint8Array] | undefined;
  const parts = new MultipartRanges(boundary, {
    begin({ first, end }) {
      if (first === undefined || end === undefined || !wanted.includes(first)) return undefined;
      begun = [first, new Uint8Array(Math.max(0, end - first))];
      return begun[1];
    },
    end() {
      whole.push(begun!);
    },
  });
  for (const piece of pieces) parts.take(piece);
  return whole;
}

const piecesOf = (body: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] => {
  const ends = [...cuts.map((cut) => cut % body.length).sort((a, b) => a - b), body.length];
  return ends.map((end, i) => body.subarray(ends[i - 1] ?? 0, end));
};

test('a body in pieces of any length gives its parts', () => {
  const ranges = fc.array(
    fc.tuple(fc.nat(4999), fc.integer({ min: 1, max: 300 })).map(([first, length]) => ({
      first,
      end: Math.min(first + length, 5000),
    })),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(ranges, fc.array(fc.nat(), { maxLength: 20 }), (parts, cuts) => {
      const body = bodyOf(parts);
      const whole = taken(
        piecesOf(body, cuts),
        parts.map(({ first }) => first),
      );
      expect(whole).toEqual(parts.map(({ first, end }) => [first, FILE.slice(first, end)]));
    }),
  );
});

test('data that looks like a boundary is data', () => {
  const data = latin1('\r\n--B--\r\n\r\n--B\r\nContent-Range: bytes 0-1/5000\r\n\r\n');
  const body = bodyOf([{ first: 10, end: 10 + data.length, data }]);
  expect(taken([body], [0, 10])).toEqual([[10, data]]);
});

test.each([
  ['text in front of the first part', (body: string) => `This is text.\r\n\r\n${body}`],
  ['no line in front of the first part', (body: string) => body.slice(2)],
  ['spaces behind a boundary', (body: string) => body.replaceAll('--B\r\n', '--B \t\r\n')],
  ['text behind the last part', (body: string) => `${body}more\r\n\r\nand more`],
])('%s: the parts are there', (name, change) => {
  const body = Buffer.from(
    bodyOf([
      { first: 1, end: 4 },
      { first: 9, end: 11 },
    ]),
  ).toString('latin1');
  const whole = taken([latin1(change(body))], [1, 9]);
  // Text with an empty line is more than is looked through.
  const expected = name.startsWith('text in front') ? [] : [1, 9];
  expect(whole.map(([first]) => first)).toEqual(expected);
});

test.each([
  ['another boundary', (body: string) => body.replaceAll('--B', '--C')],
  ['a longer boundary', (body: string) => body.replaceAll('--B', '--Bx')],
  ['no Content-Range', (body: string) => body.replaceAll('Content-Range', 'X-Range')],
  ['two of them', (body: string) => body.replaceAll('Content-Type: app', 'Content-Range: app')],
  ['a range that is none', (body: string) => body.replaceAll('bytes ', 'bites ')],
  ['one that ends before it begins', (body: string) => body.replaceAll('1-3', '1-0')],
  ['one that nobody wants', (body: string) => body.replaceAll('1-3', '2-4')],
  ['long lines', (body: string) => body.replace('octet', 'x'.repeat(5000))],
  ['nothing', () => ''],
])('%s: nothing is taken, and nothing thrown', (_, change) => {
  const body = Buffer.from(bodyOf([{ first: 1, end: 4 }])).toString('latin1');
  expect(taken([latin1(change(body))], [1])).toEqual([]);
});

test('behind a part that makes no sense nothing is taken', () => {
  const parts = [3, 50, 100].map((first) => ({ first, end: first + 5 }));
  expect(taken([bodyOf(parts)], [3, 100]).map(([first]) => first)).toEqual([3]);
});

test('a body that breaks off has the parts before, and not the last one', () => {
  const body = bodyOf([
    { first: 3, end: 9 },
    { first: 30, end: 90 },
  ]);
  for (let length = 0; length < body.length; length += 1) {
    const whole = taken([body.subarray(0, length)], [3, 30]);
    for (const [first, data] of whole) expect(data).toEqual(FILE.slice(first, first + data.length));
    expect(whole.length).toBeLessThanOrEqual(2);
  }
});

test('bytes of any kind are put up with', () => {
  const words = fc.constantFrom('\r\n', '--B', '--B--', 'Content-Range: bytes 1-3/5000', 'x', '\0');
  fc.assert(
    fc.property(fc.array(words, { maxLength: 30 }), fc.array(fc.nat()), (text, cuts) => {
      const body = latin1(`${text.join('')} `);
      for (const [first, data] of taken(piecesOf(body, cuts), [1])) {
        expect([first, data.length]).toEqual([1, 3]);
      }
    }),
  );
});

describe('the boundary', () => {
  const of = (status: number, type: string | null) =>
    boundaryOf({ status, headers: { get: () => type }, body: null });
  test.each([
    ['multipart/byteranges; boundary=00000000000000000007', '00000000000000000007'],
    ['multipart/byteranges;boundary=3d6b6a416f9b5', '3d6b6a416f9b5'],
    ['Multipart/ByteRanges; charset=x; Boundary="THIS STRING:SEPARATES"', 'THIS STRING:SEPARATES'],
    ['multipart/byteranges', undefined],
    ['multipart/mixed; boundary=x', undefined],
    ['application/octet-stream', undefined],
    [`multipart/byteranges; boundary=${'x'.repeat(71)}`, undefined],
    [null, undefined],
  ])('of %s', (type, boundary) => {
    expect(of(206, type)).toBe(boundary);
    expect(of(200, type)).toBe(undefined);
  });
});
