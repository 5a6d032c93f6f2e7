/** Progress of an image whose tables are many batches of reads: in a sparse file, since they are what there is. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import {
  createImage,
  type Progress,
  type ProgressOptions,
  type QcowImage,
} from '../../../src/index.js';
import { createNewFile, openImageFile } from '../../../src/node/index.js';
import { memoryDirectory } from '../../support/directories.js';

const CLUSTER_BYTES = 4096;
const DISK_BYTES = 8 * 2 ** 30;
/** One maps 2 MiB. */
const L2_TABLES = DISK_BYTES / (CLUSTER_BYTES / 8) / CLUSTER_BYTES;

let file: string;

beforeAll(async () => {
  file = join(memoryDirectory(), 'sparse.qcow2');
  const device = await createNewFile(file);
  await createImage(device, {
    diskSizeBytes: DISK_BYTES,
    version: 3,
    clusterBytes: CLUSTER_BYTES,
    refcountBits: 16,
    extendedL2: false,
    lazyRefcounts: false,
    compressionType: 'zlib',
    preallocation: 'metadata',
  });
  await device.close();
}, 60_000);

const WORK: Readonly<
  Record<string, (image: QcowImage, options: ProgressOptions) => Promise<unknown>>
> = {
  'planning an edit': (image, options) => image.planCreate('x', options),
  'planning an apply': async (image, options) => {
    await image.create('golden');
    await image.planApply('golden', options);
  },
  'planning a repair': (image, options) => image.planRepair('all', options),
  'an edit': (image, options) => image.create('y', options),
};

test.each(Object.entries(WORK))('%s tells how far it is while tables are read', async (_, work) => {
  expect(L2_TABLES * CLUSTER_BYTES).toBeGreaterThan(3 * 4 * 2 ** 20);
  await using image = await openImageFile(file, { write: true });
  const told: Progress[] = [];
  await work(image, { onProgress: (progress) => told.push(progress) });
  const shares = told.filter(({ phase }) => phase === 'planning').map(({ done }) => done);
  expect(shares[0]).toBe(0);
  const between = shares.filter((done) => done > 0 && done < 1);
  expect(between.length).toBeGreaterThan(3);
  expect(told.length).toBeLessThan(250);
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  expect(shares.at(-1)).toBeGreaterThan(0.95);
  expect(shares.at(-1)).toBeLessThanOrEqual(1);
  expect((await image.check()).exitCode).toBe(0);
  expect(statSync(file).blocks * 512).toBeLessThan(2 ** 27);
});

test('a plan that told its progress is carried out, and tells no more of planning', async () => {
  await using image = await openImageFile(file, { write: true });
  const told: Progress[] = [];
  const onProgress = (progress: Progress): void => {
    told.push(progress);
  };
  const plan = await image.planCreate('planned', { onProgress });
  expect(plan.plan.source).toBe(image.source);
  const before = told.length;
  await image.execute(plan, { onProgress });
  expect(told.slice(before).some(({ phase }) => phase === 'writing')).toBe(true);
  expect(told.slice(before).some(({ phase }) => phase === 'planning')).toBe(false);
  expect((await image.check()).exitCode).toBe(0);
});

test('a timer stops planning in its middle', async () => {
  await using image = await openImageFile(file, { write: true });
  const controller = new AbortController();
  const abort = (): void => {
    controller.abort();
  };
  const plan = image.planCreate('never', {
    signal: controller.signal,
    onProgress: ({ done }) => {
      if (done > 0) setImmediate(abort);
    },
  });
  await expect(plan).rejects.toMatchObject({ code: 'ABORTED' });
});
