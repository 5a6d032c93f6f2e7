import fc from 'fast-check';
import { expect, test } from 'vitest';
import { tableReads } from '../../../src/io/table-reads.js';

const TABLE_BYTES = 512;

test('every table comes to its place in memory, and those in a row in one request', () => {
  // Small numbers, so that tables often follow each other or are the same.
  const tables = fc.array(fc.nat(6), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(tables, fc.nat(12), fc.nat(12), (clusters, a, b) => {
      const [first, end] = [Math.min(a, b), Math.max(a, b)].map((n) =>
        Math.min(n, clusters.length),
      );
      const offsets = Float64Array.from(clusters, (cluster) => cluster * TABLE_BYTES);
      const memory = new Uint8Array((end! - first!) * TABLE_BYTES);
      const requests = tableReads(offsets, first!, end!, TABLE_BYTES, memory);
      const places = requests.flatMap(({ at, into }) =>
        Array.from({ length: into.length / TABLE_BYTES }, (_, i) => [
          into.byteOffset + i * TABLE_BYTES,
          at + i * TABLE_BYTES,
        ]),
      );
      const wanted = clusters.slice(first, end);
      expect(places).toEqual(wanted.map((c, i) => [i * TABLE_BYTES, c * TABLE_BYTES]));
      const breaks = wanted.filter((cluster, i) => i === 0 || cluster !== wanted[i - 1]! + 1);
      expect(requests).toHaveLength(breaks.length);
    }),
  );
});

test('offsets above 2^32 are kept exact', () => {
  const offsets = Float64Array.of(2 ** 40, 2 ** 40 + 65_536);
  const [request, ...more] = tableReads(offsets, 0, 2, 65_536, new Uint8Array(131_072));
  expect(more).toEqual([]);
  expect([request!.at, request!.into.length]).toEqual([2 ** 40, 131_072]);
});
