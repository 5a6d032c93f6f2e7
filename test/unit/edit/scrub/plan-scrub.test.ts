/** A scrub of some parts: the others are left out of the ranges and of the figures. */
import { expect, test } from 'vitest';
import { executeScrub } from '../../../../src/edit/scrub/execute-scrub.js';
import { planScrub, SCRUB_PARTS } from '../../../../src/edit/scrub/plan-scrub.js';
import { openImage } from '../../../../src/image/open.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { checkPlain } from '../../../support/crash-judge.js';
import { loadFixture } from '../../../support/fixture.js';
import { unreferencedIn, withSecrets } from '../../../support/unreferenced.js';

const BYTES = withSecrets(loadFixture('applied-and-deleted'));

const partOf = (where: string): string =>
  where === 'free cluster' ? 'free' : where === 'tail' ? 'tail' : 'slack';

test.each(SCRUB_PARTS.map((part) => [part]))('%s alone', async (part) => {
  const device = memoryDevice(BYTES.slice());
  const whole = await planScrub(await openImage(device));
  const plan = await planScrub(await openImage(device), { parts: [part] });
  expect(plan[part]).toEqual(whole[part]);
  expect(plan[part].length).toBeGreaterThan(0);
  const [freeBytes, tailBytes, slackBytes] = (['free', 'tail', 'slack'] as const).map((one) =>
    one === part ? whole[one].reduce((sum, { length }) => sum + length, 0) : 0,
  );
  expect(plan.facts).toMatchObject({ freeBytes, tailBytes, slackBytes });
  await executeScrub(plan);
  const expected = BYTES.slice();
  for (const { where, at, length } of unreferencedIn(BYTES)) {
    if (partOf(where) === part) expected.fill(0, at, at + length);
  }
  const after = device.snapshotBytes();
  expect(Buffer.compare(after, expected)).toBe(0);
  expect(checkPlain(after).corruptions).toEqual([]);
});

test('nothing at all', async () => {
  const { free, tail, slack, facts } = await planScrub(await openImage(memoryDevice(BYTES)), {
    parts: [],
  });
  expect([free, tail, slack]).toEqual([[], [], []]);
  expect(facts).toMatchObject({ freeBytes: 0, tailBytes: 0, slackBytes: 0 });
});
