/** What is left of locks where a call in the middle fails. With QEMU: test/oracle/locks.test.ts. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockForEdit, lockForRead } from '../../../../src/node/files/lock.js';
import type { NativeFiles } from '../../../../src/node/files/native.js';
import { temporaryDirectory } from '../../../support/directories.js';

let fd = -1;

beforeEach(() => {
  const file = join(temporaryDirectory(), 'disk');
  writeFileSync(file, '');
  fd = openSync(file, 'r+');
});

afterEach(() => {
  closeSync(fd);
});

const systemError = (code: string) => Object.assign(new Error(`${code}: it failed`), { code });

/** Locks that are only noted; the call of this number, counted from 1, fails. */
function failingAt(number: number, code: string | undefined) {
  const held = new Set<number>();
  let calls = 0;
  const call = (): boolean => {
    calls += 1;
    if (calls !== number) return true;
    if (code === undefined) return false;
    throw systemError(code);
  };
  const native: NativeFiles = {
    tryLock: (_, at) => {
      const taken = call();
      if (taken) held.add(at);
      return taken;
    },
    tryDowngradeLock: call,
    unlock: (_, at) => {
      held.delete(at);
    },
    trim: () => Promise.resolve(),
  };
  return { held, tools: { native } };
}

describe.each([
  ['an edit', lockForEdit, 4],
  ['a reader', lockForRead, 3],
] as const)('%s', (_, lock, calls) => {
  const numbers = Array.from({ length: calls }, (__, i) => i + 1);

  test.each(numbers)('no lock is left where call %d fails', async (number) => {
    const { held, tools } = failingAt(number, 'EIO');
    const locking = lock(fd, 'a.img', tools);
    await expect(locking).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      message: "Can't lock a.img: the medium has an error",
    });
    expect([...held]).toEqual([]);
  });
});

describe.each([
  ['an edit', lockForEdit, 2],
  ['a reader', lockForRead, 3],
] as const)('%s', (_, lock, ranges) => {
  const numbers = Array.from({ length: ranges }, (__, i) => i + 1);

  test.each(numbers)("no lock is left where lock %d is somebody else's", async (number) => {
    const { held, tools } = failingAt(number, undefined);
    await expect(lock(fd, 'a.img', tools)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
    expect([...held]).toEqual([]);
  });

  // It said that there was no lock, and held some.
  test.each(numbers)(
    'nor where the system has no locks, and says so at lock %d',
    async (number) => {
      const { held, tools } = failingAt(number, 'ENOLCK');
      expect((await lock(fd, 'a.img', tools)).guarantee).toBe('none');
      expect([...held]).toEqual([]);
    },
  );
});

test('locks that can not be ended one by one end with the file', async () => {
  const { tools } = failingAt(0, undefined);
  const unlock = (): void => {
    throw systemError('EIO');
  };
  const lock = await lockForEdit(fd, 'a.img', { native: { ...tools.native, unlock } });
  expect(lock.guarantee).toBe('locked');
  lock.release();
});
