import { expect, test } from 'vitest';
import { Ledger } from '../../../../src/edit/plan/ledger.js';
import type { LiteralWrite } from '../../../../src/edit/tx/plan.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { ClusterSet } from '../../../../src/refcount/cluster-set.js';
import { newCounts } from '../../../../src/refcount/counts.js';
import { loadFixture } from '../../../support/fixture.js';
import { AS_READ } from '../../../support/table-content.js';

test('what is placed lies in clusters that were free, counts once, and is written whole', async () => {
  const image = await openImage(memoryDevice(loadFixture('cluster-512')));
  const clusters = 64;
  const free = new ClusterSet(clusters);
  for (const cluster of [3, 4, 9, 10, 11, 20]) free.add(cluster);
  const ledger = new Ledger(image, newCounts(clusters, image.geometry), free, 64, true);
  const tableAt = ledger.placeBytes('snapshot table', new Uint8Array(600).fill(7));
  const l1 = ledger.placeL1('active L1', Uint32Array.of(0x8000_0000, 0x600));
  const l2s = ledger.placeL2Tables(2, { sources: Float64Array.of(512, 1024), content: AS_READ });
  expect(ledger.placeL2Tables(0, { sources: undefined, content: AS_READ })).toHaveLength(0);

  const { bytes } = ledger.writes[0] as LiteralWrite;
  expect(bytes).toHaveLength(1024);
  expect(bytes.findIndex((byte) => byte === 0)).toBe(600);
  expect(ledger.writes.map(({ what }) => what)).toEqual([
    'snapshot table',
    'active L1',
    'L2 tables',
  ]);
  expect(ledger.writes[1]).toMatchObject({ at: l1.at, bytes: expect.any(Uint8Array) as unknown });
  expect(l1.entries).toBe(1);
  expect(ledger.writes[2]).toEqual({
    kind: 'tables',
    what: 'L2 tables',
    tableBytes: 512,
    targets: l2s,
    sources: Float64Array.of(512, 1024),
    content: AS_READ,
  });
  const taken = [tableAt / 512, tableAt / 512 + 1, l1.at / 512, ...l2s.map((at) => at / 512)];
  expect(new Set(taken).size).toBe(5);
  for (const cluster of taken) {
    expect(ledger.counts.get(cluster)).toBe(1);
    expect([3, 4, 9, 10, 11, 20]).toContain(cluster);
  }
});
