import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TableFormat } from '../../../src/l1l2/entry.js';
import {
  addReferences,
  anyCopied,
  anyCopiedWrong,
  NO_PROBLEM,
  scanOf,
  setCopied,
} from '../../../src/l1l2/scan.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';
import type { Counts } from '../../../src/refcount/counts.js';
import { countList, setCounts } from '../../support/count-list.js';
import {
  clustersOf,
  countsOf,
  oneOrTwo,
  plainly,
  soundTable,
  table,
  touchedBlocks,
  type Plain,
} from './some-tables.js';

describe('addReferences', () => {
  const weight = fc.constantFrom(1, 2, 7, -1, -3);

  test('A8, A9, A10, A12, A13: adds what the readable rules say, and stops where they do', () => {
    fc.assert(
      fc.property(table, weight, fc.constantFrom(7, 15, 0xffff), (made, by, max) => {
        const { clusterBytes } = made.format.geometry;
        const counts = countsOf(max, 5);
        const result = addReferences(made.words, scanOf(made.format), by, counts);
        const model = new Array<number>(counts.clusters).fill(5);
        const modelTouched = new Set<number>();
        const expected = plainly(made).findIndex(({ entry, problem }) => {
          if (problem !== undefined) return true;
          const clusters = clustersOf(entry, clusterBytes);
          const after = clusters.map((cluster) => model[cluster]! + by);
          // An entry counts whole or not at all, so that its clusters can be told one by one.
          if (after.some((count) => count > max || count < 0)) return true;
          for (const cluster of clusters) {
            model[cluster] = model[cluster]! + by;
            modelTouched.add(cluster >>> counts.blockShift);
          }
          return false;
        });
        expect(result).toBe(expected === -1 ? NO_PROBLEM : expected);
        expect(countList(counts)).toEqual(model);
        expect(touchedBlocks(counts)).toEqual(modelTouched);
      }),
      { numRuns: 600 },
    );
  });

  test('A9: a zero cluster without a place adds nothing to the header cluster', () => {
    const of: TableFormat = { geometry: geometryOf(16, 4, false), version: 3, fileClusters: 40 };
    const counts = countsOf(9, 1);
    expect(addReferences(Uint32Array.of(0, 1), scanOf(of), 1, counts)).toBe(-1);
    expect(counts.get(0)).toBe(1);
  });

  test('A10: a compressed cluster over a border counts in both host clusters', () => {
    const of: TableFormat = { geometry: geometryOf(16, 4, false), version: 3, fileClusters: 40 };
    const counts = countsOf(9, 0);
    // At 0x5fe00, and one sector more: x is 54, so the sector count begins at bit 22 of the high word.
    const words = Uint32Array.of(0x4040_0000, 0x0005_fe00);
    expect(addReferences(words, scanOf(of), 1, counts)).toBe(NO_PROBLEM);
    expect(countList(counts).slice(4, 8)).toEqual([0, 1, 1, 0]);
  });
});

/** Whether the entry must carry the COPIED flag. Spec: L2 table entry, bit 63. */
function wantsCopied({ entry }: Plain, counts: Counts, clusterBytes: number): boolean {
  if (entry.kind !== 'normal' && entry.kind !== 'zero-alloc') return false;
  return counts.get(entry.at / clusterBytes) === 1;
}

describe('COPIED flags', () => {
  test('A7: are seen and set as the readable rules say; nothing else changes', () => {
    fc.assert(
      fc.property(soundTable, oneOrTwo, (made, list) => {
        const { clusterBytes, l2EntryBytes } = made.format.geometry;
        const scan = scanOf(made.format);
        const counts = countsOf(0xffff, 0);
        setCounts(counts, list);
        const plain = plainly(made);
        const has = ({ high }: Plain) => (high & 0x8000_0000) !== 0;
        expect(anyCopied(made.words, scan)).toBe(plain.some(has));
        const wrong = plain.some((one) => has(one) !== wantsCopied(one, counts, clusterBytes));
        expect(anyCopiedWrong(made.words, scan, counts)).toBe(wrong);

        const set = made.words.slice();
        setCopied(set, scan, counts);
        const stride = l2EntryBytes / 4;
        const bare = made.words.map((word, i) => (i % stride === 0 ? word & 0x7fff_ffff : word));
        const right = bare.map((word, i) => {
          const wanted = i % stride === 0 && wantsCopied(plain[i / stride]!, counts, clusterBytes);
          return wanted ? word | 0x8000_0000 : word;
        });
        expect(set).toEqual(right);
        expect(anyCopiedWrong(set, scan, counts)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  test('A10: a compressed entry never gets the flag, even with a count of 1', () => {
    const of: TableFormat = { geometry: geometryOf(16, 4, false), version: 3, fileClusters: 40 };
    const counts = countsOf(9, 1);
    const words = Uint32Array.of(0x4000_0000, 0x0005_0000);
    expect(anyCopiedWrong(words, scanOf(of), counts)).toBe(false);
    setCopied(words, scanOf(of), counts);
    expect([...words]).toEqual([0x4000_0000, 0x0005_0000]);
  });
});
