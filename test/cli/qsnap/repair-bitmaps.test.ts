/** `qsnap repair --drop-bitmaps`: what goes is said first, and again when it is done. */
import { expect, test } from 'vitest';
import { imageOf, parsed, qsnap } from './harness.js';

const GIVES_UP =
  /^Gives up the bitmaps? .*"daily".* \(\d+ clusters\): the next backup has to be a full one\.$/m;

test('the plan names the bitmaps and their clusters, and writes nothing', async () => {
  const image = imageOf('bitmaps');
  const { stdout, code } = await qsnap(['repair', image, '--plan', '--drop-bitmaps']);
  expect(code).toBe(0);
  expect(stdout).toMatch(GIVES_UP);
  const { stdout: checked } = await qsnap(['check', image]);
  expect(checked).not.toContain('BITMAPS_STALE');
});

test('they are given up, in text and JSON', async () => {
  const image = imageOf('bitmaps');
  const { stdout, code } = await qsnap(['repair', '--json', image, '--drop-bitmaps']);
  expect(code).toBe(0);
  expect(parsed('repair', stdout)).toMatchObject({
    'dropped-bitmaps': expect.arrayContaining(['daily']) as unknown,
    'dropped-bitmap-clusters': expect.any(Number) as unknown,
  });
  // QEMU warns of bitmaps that nobody trusts, and finds nothing wrong.
  expect((await qsnap(['check', image])).code).toBe(0);
  const again = await qsnap(['repair', image, '--drop-bitmaps']);
  expect(again.stdout).toContain('nothing of what was chosen needs a repair');
});
