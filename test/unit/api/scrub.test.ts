/** Scrubs by an open image: what it knows afterwards is the file as it is then. */
import { expect, test } from 'vitest';
import { memoryDevice, openQcow, type Progress } from '../../../src/index.js';
import { loadFixture } from '../../support/fixture.js';
import { scrubbedPlainly, withSecrets } from '../../support/unreferenced.js';
import { closedSound, expectSame, namesOf } from './images.js';

test.each([false, true])('a scrub, and an edit after it; punch: %s', async (punch) => {
  const planted = withSecrets(loadFixture('cluster-4k'));
  const device = memoryDevice(planted);
  const image = await openQcow(device);
  const { facts } = await image.planScrub();
  const told: Progress[] = [];
  const report = await image.scrub({
    punch,
    verify: true,
    onProgress: (progress) => told.push(progress),
  });
  expect(report.facts).toEqual(facts);
  expect(report.freeBytes + report.tailBytes + report.slackBytes).toBeGreaterThan(0);
  expectSame(device.snapshotBytes(), scrubbedPlainly(planted));
  expect([...new Set(told.map(({ phase }) => phase))]).toEqual(['writing', 'reading']);
  expect(told.at(-1)!.done).toBe(told.at(-1)!.total);
  await image.create('after a scrub');
  expect(namesOf(image)).toContain('after a scrub');
  await closedSound({ image, device });
});

test('a plan of before is stale', async () => {
  const device = memoryDevice(withSecrets(loadFixture('cluster-4k')));
  const image = await openQcow(device);
  const plan = await image.planCreate('too late');
  await image.scrub();
  await expect(image.execute(plan)).rejects.toMatchObject({ code: 'PLAN_STALE' });
  await closedSound({ image, device });
});
