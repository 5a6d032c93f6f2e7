/**
 * Two programs that edit one image at the same time, and QEMU's tools while an edit goes on.
 * `QSNAP_ROUNDS` makes it longer.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { systemLocks } from '../../src/node/files/proc-locks.js';
import { imageOf, qsnap } from '../cli/qsnap/harness.js';
import { randomFrom, roundsOf, seedOf } from '../support/model-random.js';
import { programArgv } from '../support/outside-edits.js';
import { ran, type Ended } from '../support/outside-kills.js';
import {
  describeWithQemu,
  expectClean,
  qemuAvailable,
  qemuImg,
  qemuIo,
  snapshotList,
} from '../support/qemu.js';
import { describeWithStrace, injected } from '../support/strace.js';

const ROUNDS = roundsOf(process.env['QSNAP_THOROUGH'] === '1' ? 60 : 5);
const seed = seedOf();
const MOST_DELAY_US = 20_000;

const children: ChildProcess[] = [];
let image = '';

beforeEach(() => {
  if (qemuAvailable) image = imageOf('five-snapshots');
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

const total = { rounds: 0, done: 0, refused: 0 };

const names = async (): Promise<string[]> => (await snapshotList(image)).map(({ name }) => name);

/** What each of the two may have done: the name of its new snapshot is there, or it was refused. */
function expectDoneOrRefused(ended: Ended): boolean {
  if (ended.code === 0) return true;
  expect(ended).toMatchObject({ code: 1, signal: null });
  expect(ended.stderr).toMatch(
    // Who had it may be gone when we look who it is, or at its end, when Linux only knows it is Node.
    /^qsnap: .* is in use by ((qsnap|node|another program) \(pid \d+\)|another program)\nhint: .*\nThe image is unchanged\.\n$/,
  );
  return false;
}

describeWithQemu('two at once', () => {
  describeWithStrace('one edits, the other comes after it or is refused', () => {
    test(`in ${ROUNDS} rounds (seed ${seed})`, { timeout: 300_000 }, async () => {
      const random = randomFrom(seed);
      for (let round = 0; round < ROUNDS; round += 1) {
        const before = await names();
        const wanted = [`left ${round}`, `right ${round}`];
        // A short wait at each flush, so that the two overlap now in one stage and now in another.
        const both = wanted.map((name) => {
          const what = `delay_enter=${random.below(MOST_DELAY_US)}`;
          const argv = programArgv('qsnap', ['create', image, name]);
          return ran(injected(argv, { calls: ['fdatasync', 'pwrite64'], files: [image], what }));
        });
        const isDone = (await Promise.all(both)).map(expectDoneOrRefused);
        const added = wanted.filter((_, i) => isDone[i]);
        expect(added.length, 'one at least is done').toBeGreaterThan(0);
        const after = await names();
        expect(after.slice(0, before.length)).toEqual(before);
        expect(after.slice(before.length).sort()).toEqual(added);
        await expectClean(image);
        total.rounds += 1;
        total.done += added.length;
        total.refused += wanted.length - added.length;
        if (after.length > 12)
          expect(await qsnap(['delete', image, ...after.slice(5)])).toMatchObject({ code: 0 });
      }
      expect(total.refused, 'rounds in which they met').toBeGreaterThan(0);
    });

    afterAll(() => {
      console.log(
        `seed ${seed}: ${total.rounds} rounds of two edits at once: ${total.done} edits done, ` +
          `${total.refused} refused, 0 fell short`,
      );
    });
  });

  describeWithStrace('while an edit goes on', () => {
    /**
     * Starts an edit that stops for some seconds before its flush, and waits until it has the image. Its first flush is
     * of what it finds.
     */
    async function editing(when: 2 | 3): Promise<ChildProcess> {
      const argv = injected(programArgv('qsnap', ['create', image, 'held']), {
        calls: ['fdatasync'],
        files: [image],
        what: `delay_enter=4000000:when=${when}`,
      });
      // strace counts the calls of each thread for itself.
      const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
      const child = spawn(argv[0]!, argv.slice(1), { stdio: 'ignore', env });
      children.push(child);
      const { ino } = await stat(image);
      const isHeld = (): boolean =>
        systemLocks()!.some(({ file, first, last }) => {
          return file.endsWith(`:${ino}`) && first <= 101 && last >= 101;
        });
      while (!isHeld()) await wait(20);
      // All its writes come before the flush, within some milliseconds.
      await wait(150);
      return child;
    }

    test.each([
      ['before the switch', 2],
      ['after the switch', 3],
    ] as const)('%s, QEMU and qsnap refuse the image', { timeout: 60_000 }, async (_, when) => {
      const child = await editing(when);
      const list = await qemuImg(['info', image], { okCodes: [1] });
      expect(list.stderr).toContain('Failed to get shared "write" lock');
      const snapshot = await qemuImg(['snapshot', '-c', 'x', image], { okCodes: [1] });
      expect(snapshot.stderr).toMatch(/Failed to get ".*" lock/);
      const write = await qemuIo(image, ['write -P 7 0 512'], { okCodes: [1] });
      expect(write.stderr).toMatch(/Failed to get ".*" lock/);
      const inUse = `${image} is in use by qsnap (pid ${child.pid})`;
      expect((await qsnap(['list', image])).stderr).toContain(inUse);
      expect((await qsnap(['create', image, 'x'])).stderr).toContain(inUse);
      // Who reads all the same finds the old state or the new one.
      const { stdout } = await qemuImg(['info', '-U', image]);
      expect(stdout.includes('held')).toBe(when === 3);
      const ended = once(child, 'exit');
      expect(await ended).toEqual([0, null]);
      expect((await names()).at(-1)).toBe('held');
      await expectClean(image);
    });

    test('killed, it lets everybody in at once', async () => {
      const child = await editing(2);
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      expect(await ended).toEqual([null, 'SIGKILL']);
      await qemuIo(image, ['write -P 7 0 512']);
      expect(await qsnap(['create', image, 'after it'])).toMatchObject({ code: 0 });
      expect((await names()).at(-1)).toBe('after it');
      await expectClean(image);
    });
  });
});
