import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesOfWords, storedWords } from '../../../src/base/words.js';
import {
  addLayout,
  addReferences,
  anyCopied,
  anyCopiedWrong,
  NO_PROBLEM,
  scanOf,
  setCopied,
} from '../../../src/l1l2/scan.js';
import { newRuns } from '../../../src/l1l2/runs.js';
import {
  addStoredReferences,
  anyStoredCopiedWrong,
  clearStoredCopied,
  countStoredDifferent,
  setStoredCopied,
} from '../../../src/l1l2/stored-scan.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';
import { countList, setCounts } from '../../support/count-list.js';
import { countsOf, oneOrTwo, soundTable, table, touchedBlocks } from './some-tables.js';

/** The loops over tables as they are stored do what those over words in host order do. */
describe('addStoredReferences', () => {
  const weight = fc.constantFrom(1, 2, 7, -1, -3);
  let plain = 0;

  test.each([
    ['any tables', table],
    ['sound tables', soundTable],
  ])('%s: the same counts, problems, flags and layout', (_, tables) => {
    fc.assert(
      fc.property(tables, weight, fc.constantFrom(7, 15, 0xffff), ({ format, words }, by, max) => {
        const scan = scanOf(format);
        const [expected, found] = [countsOf(max, 5), countsOf(max, 5)];
        const stored = storedWords(bytesOfWords(words));
        const runs = newRuns(scan);
        const problem = addStoredReferences(stored, scan, by, found, runs);
        expect(problem).toBe(addReferences(words, scan, by, expected));
        expect(countList(found)).toEqual(countList(expected));
        expect(touchedBlocks(found)).toEqual(touchedBlocks(expected));
        expect(runs.anyCopied).toBe(anyCopied(words, scan));
        // What is not plain is left in host order, for those who look closer.
        expect(stored).toEqual(runs.isPlain ? storedWords(bytesOfWords(words)) : words);
        if (!runs.isPlain) return;
        plain += 1;
        expect(problem).toBe(NO_PROBLEM);
        const layout = { allocated: 0, fragmented: 0, compressed: 0 };
        addLayout(words, scan, 1, false, layout);
        const { allocated, fragmented } = runs;
        expect({ allocated, fragmented, compressed: 0 }).toEqual(layout);
      }),
      { numRuns: 600 },
    );
    expect(plain).toBeGreaterThan(20);
  });

  test('A8: an offset of 2^56 and more is no plain entry, at every cluster size', () => {
    for (const bits of [9, 16, 21]) {
      const scan = scanOf({ geometry: geometryOf(bits, 4, false), version: 3, fileClusters: 40 });
      for (const high of [0x0100_0000, 0x4000_0000, 0x7fff_ffff, 0x0080_0000]) {
        const words = Uint32Array.of(0, 2 ** bits, high, 0);
        const runs = newRuns(scan);
        const counts = countsOf(9, 0);
        const stored = storedWords(bytesOfWords(words));
        const problem = addStoredReferences(stored, scan, 1, counts, runs);
        expect(runs.isPlain).toBe(false);
        expect(problem).toBe(addReferences(words, scan, 1, countsOf(9, 0)));
      }
    }
  });
});

describe('COPIED flags of stored tables', () => {
  test('A7: are seen and set as in host order, and cleared', () => {
    fc.assert(
      fc.property(soundTable, oneOrTwo, ({ format, words }, list) => {
        const scan = scanOf(format);
        const counts = countsOf(0xffff, 0);
        setCounts(counts, list);
        const bytes = bytesOfWords(words);
        const runs = newRuns(scan);
        expect(anyStoredCopiedWrong(storedWords(bytes), scan, counts, runs)).toBe(
          anyCopiedWrong(words, scan, counts),
        );
        const set = bytes.slice();
        setStoredCopied(storedWords(set), scan, counts, runs);
        const expected = words.slice();
        setCopied(expected, scan, counts);
        expect(set).toEqual(bytesOfWords(expected));
        const cleared = bytes.slice();
        clearStoredCopied(cleared, scan);
        const bare = words.map((word, i) => (i % scan.stride === 0 ? word & 0x7fff_ffff : word));
        expect(cleared).toEqual(bytesOfWords(bare));
      }),
      { numRuns: 300 },
    );
  });
});

describe('countStoredDifferent', () => {
  test('A6: counts entries that differ in more than the COPIED flag, subclusters included', () => {
    fc.assert(
      fc.property(table, fc.array(fc.nat(200)), (made, changes) => {
        const stride = made.format.geometry.l2EntryBytes / 4;
        const other = made.words.slice();
        for (const at of changes) {
          if (at < other.length) other[at] = other[at]! ^ (at % 3 === 0 ? 0x8000_0000 : 4);
        }
        let different = 0;
        for (let i = 0; i < other.length; i += stride) {
          const of = (words: Uint32Array) => {
            const [high, ...rest] = words.subarray(i, i + stride);
            return [high! & 0x7fff_ffff, ...rest].join();
          };
          if (of(other) !== of(made.words)) different += 1;
        }
        const stored = [made.words, other].map((words) => storedWords(bytesOfWords(words)));
        const found = countStoredDifferent(stored[0]!, stored[1]!, scanOf(made.format));
        expect(found).toBe(different);
      }),
    );
  });
});
