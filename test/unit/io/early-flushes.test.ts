import { expect, test } from 'vitest';
import { EarlyFlushes } from '../../../src/io/early-flushes.js';

const MiB = 2 ** 20;

/** A device whose flushes end when they are told to. */
function medium() {
  const ends: { ok: () => void; fail: (error: Error) => void }[] = [];
  const flush = (): Promise<void> => {
    return new Promise((resolve, reject) => ends.push({ ok: resolve, fail: reject }));
  };
  return { early: new EarlyFlushes({ flush }), ends };
}

test('a flush begins when there is enough for one, and one at a time', async () => {
  const { early, ends } = medium();
  early.afterWriting(4 * MiB - 1);
  expect(ends.length).toBe(0);
  early.afterWriting(1);
  expect(ends.length).toBe(1);
  early.afterWriting(64 * MiB);
  expect(ends.length).toBe(1);
  ends[0]!.ok();
  await early.done();
  early.afterWriting(1);
  expect(ends.length).toBe(2);
});

test('each flush waits for twice as much as the one before, up to 32 MiB', async () => {
  const { early, ends } = medium();
  for (const enough of [4, 8, 16, 32, 32, 32]) {
    const before = ends.length;
    early.afterWriting(enough * MiB - 1);
    expect(ends.length, `${enough} MiB less a byte`).toBe(before);
    early.afterWriting(1);
    expect(ends.length, `${enough} MiB`).toBe(before + 1);
    ends[before]!.ok();
    await early.done();
  }
});

test('nothing to wait for is no wait', async () => {
  await medium().early.done();
});

test('what a flush threw is told by every wait, and no other flush begins', async () => {
  const { early, ends } = medium();
  early.afterWriting(4 * MiB);
  ends[0]!.fail(new Error('the medium lost it'));
  await expect(early.done()).rejects.toThrow('the medium lost it');
  early.afterWriting(64 * MiB);
  await expect(early.done()).rejects.toThrow('the medium lost it');
  expect(ends.length).toBe(1);
});
