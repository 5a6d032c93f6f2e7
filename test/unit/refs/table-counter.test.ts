import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOfWords, storedWords } from '../../../src/base/words.js';
import { addReferences, NO_PROBLEM, scanOf } from '../../../src/l1l2/scan.js';
import { newCounts } from '../../../src/refcount/counts.js';
import { TableCounter } from '../../../src/refs/table-counter.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';

const CLUSTERS = 64;
const geometry = geometryOf(9, 4, false);
const scan = scanOf({ geometry, version: 3, fileClusters: CLUSTERS });

/** Entries that are right, that point behind the end of the file, and that have reserved bits set. */
const entries = fc.array(
  fc.record({ cluster: fc.nat(CLUSTERS + 8), reserved: fc.boolean(), flawed: fc.nat(5) }),
  { minLength: 64, maxLength: 64 },
);

test('entries that are right are counted, and all others are asked about once, or until they are mended', () => {
  fc.assert(
    fc.property(entries, fc.integer({ min: 1, max: 3 }), fc.boolean(), (made, weight, mends) => {
      const wrong = made.map(({ cluster, reserved, flawed }) => {
        return cluster !== 0 && (cluster >= CLUSTERS || (flawed === 0 && reserved));
      });
      const words = Uint32Array.from(
        made.flatMap(({ cluster }, i) => [wrong[i] ? 0x0100_0000 * 32 : 0, cluster << 9]),
      );
      const counts = newCounts(CLUSTERS, geometry);
      const counter = new TableCounter(scan, counts);
      const asked: number[] = [];
      counter.count(storedWords(bytesOfWords(words)), weight, (entry, inHostOrder) => {
        asked.push(entry);
        expect(inHostOrder[2 * entry + 1]).toBe(words[2 * entry + 1]);
        if (mends) [inHostOrder[2 * entry], inHostOrder[2 * entry + 1]] = [0, 1 << 9];
        return mends;
      });
      expect(asked).toEqual([...wrong.keys()].filter((i) => wrong[i]));
      const right = words.map((word, i) =>
        wrong[i >> 1] ? (mends && i % 2 === 1 ? 512 : 0) : word,
      );
      const expected = newCounts(CLUSTERS, geometry);
      expect(addReferences(right, scan, weight, expected)).toBe(NO_PROBLEM);
      for (let cluster = 0; cluster < CLUSTERS; cluster++) {
        expect(counts.get(cluster)).toBe(expected.get(cluster));
      }
    }),
  );
});
