import { expect, test } from 'vitest';
import { editTallyOf } from '../../../../src/edit/plan/tally.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { PointerCollector } from '../../../../src/refs/pointers.js';
import { keptSnapshots } from '../../../../src/edit/plan/next-state.js';
import { loadFixture } from '../../../support/fixture.js';

test('pointers before an edit, those that stay, and those of tables that it writes', async () => {
  const image = await openImage(memoryDevice(loadFixture('five-snapshots')));
  const collector = new PointerCollector();
  const l1s = [
    [512, 1024],
    [1024, 1536],
    [1536, 1536],
    [512, 0],
  ];
  const words = l1s.map((offsets) => Uint32Array.from(offsets.flatMap((at) => [0, at])));
  words.forEach((table, disk) => {
    collector.addTable(disk, table);
  });
  const [first, , third] = keptSnapshots(image);
  const pointers = collector.finish();
  const applied = editTallyOf(pointers, {
    diskSizeBytes: 0,
    activeL1: words[1],
    snapshots: [first!, third!, { entry: first!.entry, l1: { kind: 'new', words: words[0]! } }],
  });
  expect([...applied.offsets]).toEqual([512, 1024, 1536]);
  expect([...applied.before]).toEqual([2, 2, 3]);
  expect([...applied.active]).toEqual([1, 1, 0]);
  expect([...applied.kept]).toEqual([1, 1, 1]);
  expect([...applied.written]).toEqual([1, 2, 1]);
  const renamed = editTallyOf(pointers, {
    diskSizeBytes: 0,
    activeL1: undefined,
    snapshots: [third!],
  });
  expect([...renamed.kept]).toEqual([2, 1, 0]);
  expect([...renamed.written]).toEqual([0, 0, 0]);
});
