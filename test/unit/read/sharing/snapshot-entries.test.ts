import { expect, test } from 'vitest';
import { shortenedBytes } from '../../../../src/read/sharing/snapshot-entries.js';

const CLUSTER = 512;

test.each([
  ['none goes', [0, 1], [], 0],
  ['what is left takes as many clusters', [100, 300], [0], 0],
  ['a cluster less', [300, 300], [1], CLUSTER],
  ['all go', [300, 300], [0, 1], 2 * CLUSTER],
])('%s', (_, entryBytes, gone, bytes) => {
  const snapshotTableBytes = entryBytes.reduce((sum, one) => sum + one, 0);
  const size = { snapshotTableBytes, clusterBytes: CLUSTER, entryBytes };
  expect(shortenedBytes(size, gone)).toBe(bytes);
});

// Entries that an edit writes may be longer than those of an old table.
test('a table that gets longer gives less than nothing', () => {
  const size = { snapshotTableBytes: 512, clusterBytes: CLUSTER, entryBytes: [300, 300, 8] };
  expect(shortenedBytes(size, [2])).toBe(-CLUSTER);
});
