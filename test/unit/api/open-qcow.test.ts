import { expect, test } from 'vitest';
import { memoryDevice, openQcow, QsnapError } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';

test('a source that holds no image is closed, and why it holds none is what is told', async () => {
  let closed = 0;
  const device = Object.assign(memoryDevice(new Uint8Array(4096)), {
    close: () => {
      closed += 1;
      return Promise.reject(new QsnapError('READ_FAILED', 'it can not be closed well'));
    },
  });
  await expect(openQcow(device)).rejects.toMatchObject({ code: 'NOT_QCOW2' });
  expect(closed).toBe(1);
});

test('an image on any source is open until it is closed', async () => {
  const image = await openQcow(memoryDevice(loadFixture('five-snapshots')));
  expect(image.snapshots.length).toBe(5);
  await image.close();
});
