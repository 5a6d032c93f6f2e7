import { expect, test } from 'vitest';
import { ClusterSet } from '../../../../src/refcount/cluster-set.js';
import { tableFormat } from '../../../../src/image/table-format.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { Unknowns } from '../../../../src/edit/repair/unknowns.js';
import { loadFixture } from '../../../support/fixture.js';

const image = await openImage(memoryDevice(loadFixture('version-3')));
const format = tableFormat(image);
const { fileClusters, geometry } = format;
const { clusterBytes } = geometry;

function freeOf(unknowns: Unknowns, clusters: number): number[] {
  const free = new ClusterSet(fileClusters + clusters);
  unknowns.addFree(free);
  return Array.from({ length: clusters }, (_, i) => i).filter((i) => free.has(fileClusters + i));
}

test('what stays unreadable and names places behind the end keeps them', () => {
  const unknowns = new Unknowns(false, format);
  expect(unknowns.ownersUnknown).toBe(false);
  unknowns.unreadable((fileClusters + 1) * clusterBytes + 512, clusterBytes);
  expect(unknowns.ownersUnknown).toBe(true);
  expect(freeOf(unknowns, 5)).toEqual([0, 3, 4]);
  expect(unknowns.clustersToCover(3)).toBe(5);
});

test('a place inside the file keeps nothing, and the same place counts once', () => {
  const unknowns = new Unknowns(true, format);
  unknowns.avoid(clusterBytes, clusterBytes);
  for (let i = 0; i < 3; i++) unknowns.avoid(fileClusters * clusterBytes, 1);
  expect(unknowns.clustersToCover(2)).toBe(3);
  expect(freeOf(unknowns, 2)).toEqual([1]);
});

test('places beyond all that a repair may need take no memory', () => {
  const unknowns = new Unknowns(false, format);
  unknowns.unreadable(2 ** 55, 2 ** 21);
  expect(unknowns.clustersToCover(7)).toBe(7);
});

test('what lies so far behind the end that it is not known who names it is not free', () => {
  const known = fileClusters + 2 ** 20;
  for (const named of [undefined, 3, known - 1]) {
    const unknowns = new Unknowns(false, format);
    if (named !== undefined) unknowns.avoid((fileClusters + named) * clusterBytes, 1);
    // A block of narrow refcounts covers this many.
    const free = new ClusterSet(2 ** 21);
    unknowns.addFree(free);
    expect(free.has(fileClusters + 2)).toBe(true);
    if (named !== undefined) expect(free.has(fileClusters + named)).toBe(false);
    expect(free.next(fileClusters + known)).toBe(2 ** 21);
  }
});
