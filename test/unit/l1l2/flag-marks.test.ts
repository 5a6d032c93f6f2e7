import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOfWords, storedWords } from '../../../src/base/words.js';
import { FlagMarks } from '../../../src/l1l2/flag-marks.js';
import { anyCopiedWrong, NO_PROBLEM, scanOf } from '../../../src/l1l2/scan.js';
import { newRuns } from '../../../src/l1l2/runs.js';
import { addStoredReferences } from '../../../src/l1l2/stored-scan.js';
import { setCounts } from '../../support/count-list.js';
import { countsOf, soundTable } from './some-tables.js';

test('tells whether a walk over the tables would find a wrong flag', () => {
  const seen = { right: 0, wrong: 0, plain: 0, other: 0 };
  fc.assert(
    fc.property(fc.array(soundTable, { minLength: 1, maxLength: 3 }), fc.boolean(), (some, set) => {
      const { format } = some[0]!;
      const scan = scanOf(format);
      const counts = countsOf(0xffff, 5);
      const marks = new FlagMarks(format.fileClusters);
      const sound = some.filter(({ words }) => {
        const stored = storedWords(bytesOfWords(words));
        const runs = newRuns(scan);
        // A table of another format need not be sound in this one.
        if (addStoredReferences(stored, scan, 1, counts, runs) !== NO_PROBLEM) return false;
        if (runs.isPlain) marks.add(runs);
        else marks.addEntries(stored, scan);
        seen[runs.isPlain ? 'plain' : 'other'] += 1;
        return true;
      });
      if (set) setCounts(counts, new Array<number>(counts.clusters).fill(1));
      const wrong = sound.some(({ words }) => anyCopiedWrong(words, scan, counts));
      expect(marks.anyWrong(counts)).toBe(wrong);
      seen[wrong ? 'wrong' : 'right'] += 1;
    }),
    { numRuns: 500 },
  );
  expect(seen.wrong).toBeGreaterThan(20);
  expect(seen.right).toBeGreaterThan(20);
  expect(seen.plain).toBeGreaterThan(20);
  expect(seen.other).toBeGreaterThan(20);
});
