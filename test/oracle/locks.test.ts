/** QEMU's tools and qsnap keep each other out of an image exactly as QEMU's tools do. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { lockForEdit, lockForRead } from '../../src/node/files/lock.js';
import { openFile } from '../../src/node/files/open.js';
import { openFileForEdit } from '../../src/node/files/open-for-edit.js';
import { systemLocks } from '../../src/node/files/proc-locks.js';
import { temporaryDirectory } from '../support/directories.js';
import { makeImage } from '../support/made-images.js';
import { describeWithQemu, expectClean, qemuAvailable, qemuImg, qemuIo } from '../support/qemu.js';

const children: ChildProcess[] = [];
const made = path.join(temporaryDirectory(), 'made.qcow2');
let image = '';

beforeAll(async () => {
  if (qemuAvailable) await makeImage(made, '64M', '', 'write -P 7 0 1M');
});

beforeEach(() => {
  if (!qemuAvailable) return;
  image = path.join(temporaryDirectory(), 'image.qcow2');
  copyFileSync(made, image);
});

afterEach(async () => {
  if (!qemuAvailable) return;
  await Promise.all(children.splice(0).map(end));
  await expectClean(image);
});

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** Starts a program that keeps the image open, and waits until it says `sign`. */
async function hold(program: string, args: readonly string[], sign: string): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  let said = '';
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    said += String(chunk);
    if (said.includes(sign)) break;
  }
  if (!said.includes(sign)) throw new Error(`${program} ended and said ${JSON.stringify(said)}`);
  return child;
}

const holdWithQemuIo = (...options: string[]) => hold('qemu-io', [...options, image], 'qemu-io>');

function holdWithQsnap(mode: 'read' | 'edit'): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('lock-holder.ts', import.meta.url));
  return hold(process.execPath, ['--import', 'tsx', script, mode, image], 'ready locked');
}

/** A conversion at 1 MiB a second keeps its source open for half a minute. */
async function holdWithConvert(): Promise<ChildProcess> {
  await qemuIo(image, ['write -P 7 0 32M']);
  const target = path.join(path.dirname(image), 'out.raw');
  const args = ['convert', '-p', '-r', '1M', '-O', 'raw', image, target];
  return hold('qemu-img', args, '(');
}

/** "read", "edit" or nothing: what qsnap may do with the image now. */
async function qsnapMay(): Promise<string[]> {
  const may: string[] = [];
  for (const [what, opener] of [
    ['read', openFile],
    ['edit', openFileForEdit],
  ] as const) {
    try {
      const file = await opener(image);
      expect(file.lock.guarantee).toBe('locked');
      await file.close();
      may.push(what);
    } catch (error) {
      expect(error).toMatchObject({ code: 'IMAGE_IN_USE' });
    }
  }
  return may;
}

/** The same question to QEMU: `snapshot -l` and `info` read, opening with qemu-io writes. */
async function qemuMay(): Promise<string[]> {
  const list = await qemuImg(['snapshot', '-l', image], { okCodes: 'any' });
  const info = await qemuImg(['info', image], { okCodes: 'any' });
  const write = await qemuIo(image, ['write -P 7 0 512'], { okCodes: 'any' });
  for (const { code, stderr } of [list, info, write]) {
    if (code !== 0) expect(stderr).toMatch(/Failed to get (shared )?".*" lock/);
  }
  expect(info.code).toBe(list.code);
  return [...(list.code === 0 ? ['read'] : []), ...(write.code === 0 ? ['edit'] : [])];
}

describeWithQemu('E1: locks: what QEMU holds', () => {
  test('an image that nobody has may be read and edited', async () => {
    expect(await qsnapMay()).toEqual(['read', 'edit']);
    expect(await qemuMay()).toEqual(['read', 'edit']);
  });

  test.each([
    ['a writer', () => holdWithQemuIo(), []],
    ['a reader', () => holdWithQemuIo('-r'), ['read']],
    ['a conversion', () => holdWithConvert(), ['read']],
    ['a qsnap reader', () => holdWithQsnap('read'), ['read']],
    ['a qsnap edit', () => holdWithQsnap('edit'), []],
  ])('while %s has it, qsnap may do what QEMU may', async (_, holder, expected) => {
    await holder();
    expect(await qemuMay()).toEqual(expected);
    expect(await qsnapMay()).toEqual(expected);
  });

  test('an edit shares nothing: unlike QEMU, it waits for readers that share all (-U) too', async () => {
    await holdWithQemuIo('-r', '-U');
    expect(await qemuMay()).toEqual(['read', 'edit']);
    expect(await qsnapMay()).toEqual(['read']);
  });

  test('a writer is named with its process', async () => {
    const { pid } = await holdWithQemuIo();
    const holder = `qemu-io (pid ${pid})`;
    const refusal = { code: 'IMAGE_IN_USE', kind: 'busy', details: { file: image, holder } };
    await expect(openFile(image)).rejects.toMatchObject(refusal);
    await expect(openFileForEdit(image)).rejects.toMatchObject({
      ...refusal,
      message: `${image} is in use by ${holder}`,
    });
  });

  test('force share reads what a writer holds, and lets writers in', async () => {
    await holdWithQemuIo();
    const file = await openFile(image, { forceShare: true });
    expect(file.lock.guarantee).toBe('none');
    const into = new Uint8Array(4);
    await file.readBatch([{ at: 0, into }]);
    expect([...into]).toEqual([0x51, 0x46, 0x49, 0xfb]);
    await file.close();
  });
});

/** The bytes of the image that anybody has locked, in order. */
async function lockedBytes(): Promise<[number, number][]> {
  const { ino } = await stat(image);
  const locks = systemLocks()!.filter(({ file }) => file.endsWith(`:${ino}`));
  const ranges = locks.map(({ first, last }): [number, number] => [first, last]);
  return ranges.sort(([a], [b]) => a - b);
}

describeWithQemu('E1: locks: what qsnap holds', () => {
  test('a reader locks the bytes that a reader of QEMU locks', async () => {
    const file = await openFile(image);
    const ours = await lockedBytes();
    await file.close();
    expect(await lockedBytes()).toEqual([]);
    await holdWithQemuIo('-r');
    expect(ours).toEqual(await lockedBytes());
    expect(ours).toEqual([
      [100, 100],
      [201, 201],
      [203, 203],
    ]);
  });

  test('an edit locks all bytes that stand for something', async () => {
    const file = await openFileForEdit(image);
    expect(await lockedBytes()).toEqual([
      [100, 104],
      [200, 204],
    ]);
    await file.close();
    expect(await lockedBytes()).toEqual([]);
  });

  test('an edit keeps QEMU out in its usual words until it is closed', async () => {
    const file = await openFileForEdit(image);
    const info = await qemuImg(['info', image], { okCodes: [1] });
    expect(info.stderr).toContain('Failed to get shared "write" lock');
    expect(info.stderr).toContain('Is another process using the image');
    expect((await qemuImg(['info', '-U', image])).code).toBe(0);
    const write = await qemuIo(image, ['write -P 7 0 512'], { okCodes: [1] });
    expect(write.stderr).toContain('lock');
    await file.close();
    expect(await qemuMay()).toEqual(['read', 'edit']);
  });

  test('a reader lets readers in and keeps writers out', async () => {
    const file = await openFile(image);
    expect(await qemuMay()).toEqual(['read']);
    file.lock.release();
    file.lock.release();
    expect(await qemuMay()).toEqual(['read', 'edit']);
    await file.close();
  });

  test('a lock of a file that is closed lets nobody into the file that has its number now', async () => {
    const other = path.join(temporaryDirectory(), 'other.qcow2');
    await makeImage(other, '1M', '');
    const closed = await openFileForEdit(other);
    await closed.close();
    const file = await openFileForEdit(image);
    closed.lock.release();
    expect(await qemuMay()).toEqual([]);
    await file.close();
  });

  test('two open files of one process keep each other out, and say so', async () => {
    const file = await openFileForEdit(image);
    await expect(openFile(image)).rejects.toMatchObject({
      message: `${image} is in use by this process itself`,
      details: { hint: 'close the image where this program has it open' },
    });
    await expect(openFileForEdit(image)).rejects.toThrow('in use by this process itself');
    await file.close();
    await (await openFile(image)).close();
  });

  test('the death of the process ends its lock', async () => {
    const child = await holdWithQsnap('edit');
    expect(await qsnapMay()).toEqual([]);
    await end(child);
    expect(await qsnapMay()).toEqual(['read', 'edit']);
    expect(await qemuMay()).toEqual(['read', 'edit']);
  });

  test('a refused edit leaves no lock behind', async () => {
    const reader = await holdWithQemuIo('-r');
    const handle = await open(image, 'r+');
    await expect(lockForEdit(handle.fd, image)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' });
    await end(reader);
    expect(await qemuMay()).toEqual(['read', 'edit']);
    await handle.close();
  });
});

describeWithQemu('E1: locks: without the add-on', () => {
  const tools = { native: undefined };

  test.each([
    ['a writer', () => holdWithQemuIo(), []],
    ['a reader', () => holdWithQemuIo('-r'), ['read']],
    ['nobody', () => Promise.resolve(undefined), ['read', 'edit']],
  ])('while %s has it, looking gives the same answer', async (_, holder, expected) => {
    await holder();
    const handle = await open(image, 'r+');
    const may: string[] = [];
    for (const [what, lock] of [
      ['read', lockForRead],
      ['edit', lockForEdit],
    ] as const) {
      const taken = await lock(handle.fd, image, tools).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'IMAGE_IN_USE' });
        return undefined;
      });
      if (taken !== undefined) {
        expect(taken.guarantee).toBe('looked');
        may.push(what);
      }
    }
    expect(may).toEqual(expected);
    await handle.close();
  });
});
