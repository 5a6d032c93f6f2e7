/** Chains with external data files: what can't be written is said, and what lies below another file is found. */
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { memoryDirectory } from '../support/directories.js';
import { describeWithQemu, expectClean, fileHash, qemuImg, qemuIo } from '../support/qemu.js';
import { differencesOf } from './parity-differences.js';
import { editBoth, ourOutcome } from './parity.js';

const create = async (cwd: string, ...argv: string[]): Promise<void> => {
  await qemuImg(['create', '-q', '-f', 'qcow2', ...argv], { cwd });
};

/** A data file is looked for in the current folder. */
async function contentHash(cwd: string, image: string): Promise<string> {
  await qemuImg(['convert', '-O', 'raw', image, 'content'], { cwd });
  return fileHash(path.join(cwd, 'content'));
}

/** A chain of three, of which the one in the middle has its guest data beside it. */
async function makeChain(cwd: string): Promise<void> {
  await create(cwd, 'i0', '1M');
  await create(cwd, '-o', 'data_file=d1', '-b', 'i0', '-F', 'qcow2', 'i1');
  await create(cwd, '-b', 'i1', '-F', 'qcow2', 'i2');
  await qemuIo('i1', ['write -P 6 0 64k'], { cwd });
  await qemuIo('i2', ['write -P 7 512k 64k'], { cwd });
}

describeWithQemu('an external data file in a chain', () => {
  let cwd: string;
  beforeEach(async () => {
    cwd = memoryDirectory();
    await makeChain(cwd);
  });

  test.each([
    ['commit', 'i2'],
    ['commit', '-b', 'i1', 'i2'],
    ['commit', 'i1'],
    ['rebase', '-b', '', 'i1'],
  ])('is not written: %s %s %s %s', async (...words) => {
    const argv = words.filter((word) => word !== undefined);
    const before = await contentHash(cwd, argv.at(-1)!);
    const pair = await editBoth(argv, memoryDirectory(), makeChain);
    expect(differencesOf(pair), JSON.stringify(pair)).toEqual(['data-file-not-written']);
    const mine = await ourOutcome(argv, cwd);
    expect(mine.stderr).toMatch(/'i1' keeps its guest data in an external data file/);
    expect(await contentHash(cwd, argv.at(-1)!)).toBe(before);
    await expectClean(path.join(cwd, 'i0'));
  });

  test('is passed over: what lies on both of its sides goes to the file below', async () => {
    const before = await contentHash(cwd, 'i2');
    const pair = await editBoth(['commit', '-b', 'i0', 'i2'], memoryDirectory(), makeChain);
    expect(pair.ours).toEqual(pair.qemu);
    const into = path.join(pair.ourDirectory, 'i0');
    expect(await contentHash(pair.ourDirectory, 'i0')).toBe(before);
    await expectClean(into);
  });
});
