import { expect, test } from 'vitest';
import { scanOf } from '../../../src/l1l2/scan.js';
import { newRuns, readRuns } from '../../../src/l1l2/runs.js';
import { visitRepeats, visitRepeatsOfRuns } from '../../../src/l1l2/repeats.js';
import { geometryOf } from '../../../src/qcow2/geometry.js';
import { ClusterSet } from '../../../src/refcount/cluster-set.js';
import { swapWords } from '../../../src/base/words.js';
import { randomFrom, seedOf } from '../../support/model-random.js';

const FILE_CLUSTERS = 600;
const geometry = geometryOf(12, 4, false);
const scan = scanOf({ geometry, fileClusters: FILE_CLUSTERS, version: 3 });

/** A table in host order that names these clusters, one an entry. */
function tableOf(clusters: readonly number[]): Uint32Array {
  const words = new Uint32Array(geometry.l2Entries * 2);
  clusters.forEach((cluster, i) => {
    words[i * 2 + 1] = cluster * 4096;
  });
  return words;
}

function repeatsOf(clusters: readonly number[]): { runs: number[]; words: number[] } {
  const [runs, words] = [new Set<number>(), new Set<number>()];
  const seen = new ClusterSet(FILE_CLUSTERS);
  visitRepeats(tableOf(clusters), scan, seen, (cluster) => words.add(cluster));
  expect(seen.next(0)).toBe(FILE_CLUSTERS);
  const stored = tableOf(clusters);
  swapWords(stored);
  const table = newRuns(scan);
  readRuns(stored, scan, table);
  expect(table.isPlain).toBe(true);
  visitRepeatsOfRuns(table, (cluster) => runs.add(cluster));
  const sorted = (set: ReadonlySet<number>): number[] => [...set].sort((a, b) => a - b);
  return { runs: sorted(runs), words: sorted(words) };
}

test.each([
  [[5, 6, 7, 0, 9], []],
  [[9, 10, 5, 6], []],
  [[5, 6, 7, 6], [6]],
  [
    [5, 6, 7, 8, 0, 6, 7, 5],
    [5, 6, 7],
  ],
])('%j', (clusters, expected) => {
  expect(repeatsOf(clusters)).toEqual({ runs: expected, words: expected });
});

test('what any table names twice is found', () => {
  const seed = seedOf();
  console.log(`QSNAP_SEED=${seed}`);
  const random = randomFrom(seed);
  for (let round = 0; round < 200; round++) {
    const clusters: number[] = [];
    for (let run = 0; run < 10; run++) {
      const first = 1 + random.below(FILE_CLUSTERS - 40);
      for (let i = 0; i < 1 + random.below(20); i++) clusters.push(first + i);
    }
    const twice = new Set(clusters.filter((cluster, i) => clusters.indexOf(cluster) !== i));
    const expected = [...twice].sort((a, b) => a - b);
    expect(repeatsOf(clusters)).toEqual({ runs: expected, words: expected });
  }
});
