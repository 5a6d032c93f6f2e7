import { expect, test } from 'vitest';
import { checkImage } from '../../../../src/read/check/check-image.js';
import { noWorseThan, refuseUnsound } from '../../../../src/read/check/refuse-unsound.js';
import { memoryDevice } from '../../../../src/io/memory.js';
import { fixtureNames, loadFixture } from '../../../support/fixture.js';
import { damaged, EXAMPLES } from './examples.js';

const NONE = { corruptions: 0, checkErrors: 0, leaks: 0 };

test('a sound image passes, and one with flaws where they are allowed', async () => {
  await refuseUnsound(memoryDevice(loadFixture('cluster-512')), NONE);
  for (const name of ['refcount-leaks', 'refcount-too-low', 'copied-flags-wrong']) {
    const device = memoryDevice(loadFixture(name));
    const { totals } = await checkImage(device);
    expect(totals.corruptions + totals.checkErrors + totals.leaks, name).toBeGreaterThan(0);
    await refuseUnsound(device, totals);
  }
});

test.each(['corruptions', 'checkErrors', 'leaks'] as const)(
  'one of the %s more than allowed is refused with the gravest finding',
  async (kind) => {
    let refused = 0;
    for (const name of fixtureNames()) {
      const device = memoryDevice(loadFixture(name));
      const report = await checkImage(device).catch(() => undefined);
      if (report === undefined || report.totals[kind] === 0) continue;
      const allowed = { ...report.totals, [kind]: report.totals[kind] - 1 };
      const error: unknown = await refuseUnsound(device, allowed).catch(
        (thrown: unknown) => thrown,
      );
      expect(error, name).toMatchObject({ code: 'VERIFY_FAILED' });
      const order = ['corruption', 'check-error', 'leak'];
      const gravest = report.findings
        .filter(({ severity }) => order.includes(severity))
        .toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity))[0]!;
      expect(String(error), name).toContain(gravest.message);
      refused += 1;
    }
    // No fixture makes QEMU give up in the middle.
    expect(refused).toBeGreaterThanOrEqual(kind === 'checkErrors' ? 0 : 1);
  },
);

test('a refcount behind the end of the file is no new leak once the file reaches it', async () => {
  const bytes = loadFixture('refcount-leaks');
  const longer = new Uint8Array(bytes.length + 2 * 4096);
  longer.set(bytes);
  const after = memoryDevice(longer);
  const { totals } = await checkImage(memoryDevice(bytes));
  expect((await checkImage(after)).totals.leaks).toBe(totals.leaks + 1);
  const verify = await noWorseThan(memoryDevice(bytes), longer.length);
  await verify(after);
  const tooShort = await noWorseThan(memoryDevice(bytes), bytes.length);
  await expect(tooShort(after)).rejects.toMatchObject({ code: 'VERIFY_FAILED' });
});

test('what only qsnap looks for counts, too, where it was counted before', async () => {
  const { bytes } = damaged(EXAMPLES.TABLE_EMPTIED);
  const device = memoryDevice(bytes);
  const { totals, beyondQemu } = await checkImage(device);
  expect(beyondQemu.corruptions).toBeGreaterThan(0);
  await refuseUnsound(device, totals);
  await refuseUnsound(device, { ...totals, beyondQemu: beyondQemu.corruptions });
  const fewer = { ...totals, beyondQemu: beyondQemu.corruptions - 1 };
  await expect(refuseUnsound(device, fewer)).rejects.toMatchObject({ code: 'VERIFY_FAILED' });
});
