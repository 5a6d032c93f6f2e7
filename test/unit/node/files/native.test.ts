import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { nativeFiles, overBinding, prebuiltBinding } from '../../../../src/node/files/native.js';
import type { NativeFiles } from '../../../../src/node/files/native.js';
import { temporaryDirectory } from '../../../support/directories.js';

// @ts-expect-error: the package brings no types.
const own = ((await import('fs-native-extensions')) as { default: NativeFiles }).default;
const direct = overBinding(prebuiltBinding()!);

/** An open file, again and again: each has its own locks. */
function opened(bytes: Uint8Array = new Uint8Array(1000)): { path: string; open: () => number } {
  const file = path.join(temporaryDirectory(), 'file');
  writeFileSync(file, bytes);
  return { path: file, open: () => openSync(file, 'r+') };
}

test('the binary lies where it is looked for, so that the slow loader is not needed', async () => {
  expect(prebuiltBinding()).toBeDefined();
  expect(await nativeFiles()).toBeDefined();
});

describe.each([
  ['the binary', direct],
  ['the package', own],
])('%s', (_, native) => {
  test.each([
    ['the binary', direct],
    ['the package', own],
  ])('sees locks that %s took', (_other, other) => {
    const file = opened();
    const [a, b] = [file.open(), file.open()];
    expect(other.tryLock(a, 100, 4, { shared: false })).toBe(true);
    expect(native.tryLock(b, 103, 1, { shared: true })).toBe(false);
    expect(native.tryLock(b, 104, 1, { shared: false })).toBe(true);
    expect(other.tryDowngradeLock(a, 100, 4)).toBe(true);
    expect(native.tryLock(b, 103, 1, { shared: true })).toBe(true);
    expect(native.tryLock(b, 102, 1, { shared: false })).toBe(false);
    other.unlock(a, 102, 1);
    expect(native.tryLock(b, 102, 1, { shared: false })).toBe(true);
    closeSync(b);
    expect(other.tryLock(a, 102, 1, { shared: false })).toBe(true);
    closeSync(a);
  });

  test('punches holes, and says what went wrong', async () => {
    const file = opened(new Uint8Array(65536).fill(7));
    const fd = file.open();
    await native.trim(fd, 4096, 8192);
    const bytes = readFileSync(file.path);
    expect(bytes.findIndex((byte) => byte === 0)).toBe(4096);
    expect(bytes.lastIndexOf(0)).toBe(4096 + 8192 - 1);
    expect(statSync(file.path).size).toBe(65536);
    closeSync(fd);
    await expect(native.trim(fd, 0, 4096)).rejects.toMatchObject({ code: 'EBADF' });
    expect(() => native.tryLock(fd, 0, 1, { shared: true })).toThrow(/bad file descriptor/i);
  });
});
