import { expect, test } from 'vitest';
import { readSoundRefcountTable, replaceByStored } from '../../../src/refs/sound-refcounts.js';
import { memoryDevice, openImage } from '../../../src/index.js';
import { ClusterSet } from '../../../src/refcount/cluster-set.js';
import { newCounts } from '../../../src/refcount/counts.js';
import { layoutOf } from '../../support/image-builder.js';
import { blockAt, refcountOf } from '../../support/image-builder-layout.js';
import { countList } from '../../support/count-list.js';
import { loadFixture } from '../../support/fixture.js';

const stored = (name: string, referencesOfCluster1: number) =>
  storedIn(loadFixture(name), referencesOfCluster1);

async function storedIn(bytes: Uint8Array, referencesOfCluster1: number) {
  const image = await openImage(memoryDevice(bytes));
  const clusters = Math.ceil(bytes.length / image.geometry.clusterBytes);
  const counts = newCounts(clusters, image.geometry);
  counts.set(1, referencesOfCluster1);
  counts.touched[0] = 1;
  const free = new ClusterSet(clusters);
  const blocks = await readSoundRefcountTable(image);
  const { leakedClusters } = await replaceByStored(image, blocks, counts, free);
  return { bytes, counts, free, leakedClusters, clusters };
}

test.each([1, 2, 4, 8, 16, 32, 64])(
  'R2: refcounts of %i bits are what a plain reader reads',
  async (bits) => {
    const { bytes, counts, free, clusters, leakedClusters } = await stored(`refcount-${bits}`, 1);
    const layout = layoutOf(bytes);
    expect(layout.refcountBits).toBe(bits);
    const plain = Array.from({ length: clusters }, (_, cluster) =>
      Number(refcountOf(bytes, layout, cluster)),
    );
    expect(countList(counts)).toEqual(plain);
    expect(plain.every((count, cluster) => free.has(cluster) === (count === 0))).toBe(true);
    // All but cluster 1 had no reference counted.
    const used = plain.filter((count, cluster) => count > (cluster === 1 ? 1 : 0)).length;
    expect(leakedClusters).toBe(used);
  },
);

test('R8: fewer refcounts than references: refused, with the place of the refcount', async () => {
  await expect(stored('refcount-16', 2)).rejects.toMatchObject({
    code: 'IMAGE_DAMAGED',
    details: { structure: 'refcount block', expected: 'a refcount of at least 2' },
  });
});

test('R1: a refcount that could not be written back as it is', async () => {
  const bytes = loadFixture('refcount-64');
  const at = blockAt(bytes, layoutOf(bytes), 0) + 8;
  bytes[at + 3] = 1;
  await expect(storedIn(bytes, 1)).rejects.toMatchObject({
    code: 'LIMIT_EXCEEDED',
    message: `the refcount at 0x${at.toString(16)} is above 4294967295, the highest that qsnap carries on`,
    details: { structure: 'refcount block', at },
  });
});

test('R11: a refcount table entry that points nowhere near a block', async () => {
  const bytes = loadFixture('version-3');
  const { refcountTableAt } = layoutOf(bytes);
  for (const [offset, value, problem] of [
    [7, 0x08, 'has reserved bits set'],
    [6, 0x02, 'does not point at a cluster boundary'],
    [1, 0x01, 'points outside the file'],
    // The COPIED flag of other tables: without it the block would be right.
    [0, 0x80, 'has bits above bit 55 set, which no offset in a file has'],
  ] as const) {
    const bad = bytes.slice();
    bad[refcountTableAt + offset] = value;
    const image = await openImage(memoryDevice(bad));
    const view = new DataView(bad.buffer, bad.byteOffset);
    const stored = `0x${view.getBigUint64(refcountTableAt).toString(16)}`;
    await expect(readSoundRefcountTable(image)).rejects.toMatchObject({
      code: 'IMAGE_DAMAGED',
      message: `the image is damaged: refcount table entry 0 (${stored}) ${problem}`,
      details: { structure: 'refcount table', at: refcountTableAt, actual: stored },
    });
  }
});
