import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeL2Entry, type L2Entry, type TableFormat } from '../../../src/l1l2/entry.js';
import { moveEntries, visitFar } from '../../../src/l1l2/moved.js';
import { scanOf } from '../../../src/l1l2/scan.js';
import { clustersOf, FILE_CLUSTERS, plainly, soundTable } from './some-tables.js';

const limit = fc.integer({ min: 1, max: FILE_CLUSTERS });

const clustersIn = (entry: L2Entry, { geometry }: TableFormat): readonly number[] =>
  clustersOf(entry, geometry.clusterBytes);

test('entries that lead far are visited with the clusters that they lead to', () => {
  fc.assert(
    fc.property(soundTable, limit, (made, from) => {
      const seen: (readonly number[])[] = [];
      visitFar(made.words, scanOf(made.format), from, {
        plain: (cluster) => seen.push([cluster, cluster]),
        packed: (first, last) => seen.push([first, last]),
      });
      const expected = plainly(made)
        .map(({ entry }) => clustersIn(entry, made.format))
        .filter((clusters) => clusters.some((cluster) => cluster >= from))
        .map((clusters) => [clusters[0]!, clusters.at(-1)!]);
      expect(seen).toEqual(expected);
    }),
  );
});

test('entries that lead far lead elsewhere afterwards, and say the same otherwise', () => {
  fc.assert(
    fc.property(soundTable, limit, fc.integer({ min: -3, max: 90 }), (made, from, by) => {
      const { clusterBytes } = made.format.geometry;
      const elsewhere = (cluster: number): number => Math.max(1, cluster + by);
      const to = new Map(Array.from({ length: FILE_CLUSTERS }, (_, i) => [i, elsewhere(i)]));
      const before = plainly(made);
      const words = made.words.slice();
      moveEntries(words, scanOf(made.format), { from, to });
      const stride = made.format.geometry.l2EntryBytes / 4;
      before.forEach(({ entry }, i) => {
        const [high, low] = [words[i * stride]!, words[i * stride + 1]!];
        const after = decodeL2Entry(high, low, made.format);
        const [first] = clustersIn(entry, made.format);
        const isFar = clustersIn(entry, made.format).some((cluster) => cluster >= from);
        if (!isFar || !('at' in entry) || first === undefined) expect(after).toEqual(entry);
        else {
          const at = entry.at + (elsewhere(first) - first) * clusterBytes;
          expect(after).toEqual({ ...entry, at });
        }
        for (let word = 2; word < stride; word++) {
          expect(words[i * stride + word]).toBe(made.words[i * stride + word]);
        }
      });
    }),
  );
});
