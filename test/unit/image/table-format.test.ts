import { expect, test } from 'vitest';
import { tableFormat } from '../../../src/image/table-format.js';
import { memoryDevice, openImage } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';

test('A14: a last cluster that the file holds a part of is one of its clusters', async () => {
  const image = await openImage(memoryDevice(loadFixture('cluster-4k')));
  const clusters = (fileSizeBytes: number): number =>
    tableFormat({ ...image, fileSizeBytes }).fileClusters;
  expect([clusters(40_960), clusters(40_961), clusters(45_056)]).toEqual([10, 11, 11]);
  expect(tableFormat(image)).toMatchObject({ version: 3, geometry: { clusterBits: 12 } });
});

test('E4: a file of more clusters than fit into memory is refused', async () => {
  const image = await openImage(memoryDevice(loadFixture('cluster-512')));
  const most = 2 ** 30 * 512;
  expect(tableFormat({ ...image, fileSizeBytes: most }).fileClusters).toBe(2 ** 30);
  expect(() => tableFormat({ ...image, fileSizeBytes: most + 1 })).toThrow(
    expect.objectContaining({ code: 'LIMIT_EXCEEDED' }) as Error,
  );
});
