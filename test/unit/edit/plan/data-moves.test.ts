import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOfWords, storedWords } from '../../../../src/base/words.js';
import { DataMoves } from '../../../../src/edit/plan/data-moves.js';
import { newRuns } from '../../../../src/l1l2/runs.js';
import { anyCopiedWrong, NO_PROBLEM, scanOf } from '../../../../src/l1l2/scan.js';
import { addStoredReferences } from '../../../../src/l1l2/stored-scan.js';
import { geometryOf } from '../../../../src/qcow2/geometry.js';
import { newCounts } from '../../../../src/refcount/counts.js';
import { countList, setCounts } from '../../../support/count-list.js';

const CLUSTERS = 128;
const geometry = geometryOf(9, 1, false);
const scan = scanOf({ geometry, version: 3, fileClusters: CLUSTERS });

/** Entries: clusters with or without the flag; every seventh is compressed data. */
const table = fc.array(
  fc.record({ cluster: fc.integer({ min: 1, max: CLUSTERS - 2 }), copied: fc.boolean() }),
  { minLength: 1, maxLength: 12 },
);
const pointers = fc.record({ before: fc.nat(3), kept: fc.nat(2), written: fc.nat(2) });
const tables = fc.array(fc.tuple(table, fc.boolean(), pointers), { minLength: 1, maxLength: 4 });

function wordsOf(
  entries: readonly { cluster: number; copied: boolean }[],
  mixed: boolean,
  flagged: boolean,
) {
  return Uint32Array.from(
    entries.flatMap(({ cluster, copied }, i) => {
      if (mixed && i % 7 === 0) return [0x4000_0000, cluster << 9];
      return [flagged && copied ? 0x8000_0000 : 0, cluster << 9];
    }),
  );
}

test('A7, A15: moves what each table passes on, and knows which flags are wrong', () => {
  const seen = { full: 0, moved: 0, right: 0, wrong: 0, unsure: 0 };
  fc.assert(
    fc.property(tables, fc.nat(2), fc.boolean(), (made, leaked, flagged) => {
      const column = (name: 'before' | 'kept' | 'written') =>
        Uint32Array.from(made, ([, , of]) => of[name]);
      const tally = {
        offsets: Float64Array.from(made, (_, i) => i),
        ...{ before: column('before'), kept: column('kept'), written: column('written') },
        active: new Uint32Array(made.length),
        writtenActive: column('written'),
      };
      const moves = new DataMoves(tally, scan, CLUSTERS);
      const runs = newRuns(scan);
      // The old references, and some leaked ones; then the new ones, counted one table at a time.
      const before = newCounts(CLUSTERS, geometry, 0xffff);
      const after = newCounts(CLUSTERS, geometry, 0xffff);
      setCounts(before, new Array<number>(CLUSTERS).fill(leaked));
      setCounts(after, new Array<number>(CLUSTERS).fill(leaked));
      const words = made.map(([entries, mixed]) => wordsOf(entries, mixed, flagged));
      words.forEach((of, index) => {
        const weight = tally.kept[index]! + tally.written[index]!;
        addStoredReferences(storedWords(bytesOfWords(of)), scan, weight, after, runs);
        const stored = storedWords(bytesOfWords(of));
        const problem = addStoredReferences(stored, scan, tally.before[index]!, before, runs);
        expect(problem).toBe(NO_PROBLEM);
        moves.add(index, stored, runs);
      });
      const limited = before.limitedTo(geometry.refcountMax);
      fc.pre(Math.max(...countList(before)) <= geometry.refcountMax);
      before.touched.fill(0);
      const changed = countList(before).map((count, cluster) => count !== after.get(cluster));
      const full = moves.moveCounts(limited);
      const highest = countList(after).findIndex((count) => count > geometry.refcountMax);
      if (highest !== -1) {
        seen.full += 1;
        expect(full).toBeDefined();
        expect(after.get(full!)).toBeGreaterThan(geometry.refcountMax);
        return;
      }
      expect(full).toBeUndefined();
      seen.moved += 1;
      expect(countList(limited)).toEqual(countList(after));
      for (const [cluster, is] of changed.entries()) {
        if (is) expect(limited.touched[cluster >>> limited.blockShift]).toBe(1);
      }
      const flags = moves.flags(limited);
      words.forEach((of, index) => {
        expect(moves.isAlone(index)).toBe(tally.written[index] === 1 && tally.kept[index] === 0);
        if (!moves.isAlone(index)) return;
        const known = flags(index);
        seen[known] += 1;
        if (known !== 'unsure') expect(anyCopiedWrong(of, scan, after)).toBe(known === 'wrong');
      });
    }),
    { numRuns: 3000 },
  );
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(20);
});
