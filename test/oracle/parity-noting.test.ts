/** Bitmaps that note changes have, after `commit` and `rebase`, the bits that they have with QEMU. */
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { memoryDevice, openImage } from '../../src/index.js';
import { plainBitmaps } from '../support/bitmap-bits.js';
import { memoryDirectory } from '../support/directories.js';
import { describeWithQemu, expectClean, qemuImg, qemuIo } from '../support/qemu.js';
import { editBoth, madeByBoth } from './parity.js';

const MiB = 2 ** 20;

/** The overlays of one file: what each is made by, and what a guest writes into it. */
const OVERLAYS: readonly (readonly [name: string, bytes: number, use: string])[] = [
  ['top', 4 * MiB, 'write -P 4 128k 64k; write -z 0 64k; write -P 5 3M 64k'],
  ['wide', 40 * MiB, 'write -P 8 30M 64k; write -P 9 3904k 64k'],
  ['narrow', MiB, 'write -P 10 896k 64k'],
  ['empty', 4 * MiB, 'read 0 512'],
];

async function makeAll(cwd: string): Promise<void> {
  await qemuImg(['create', '-q', '-f', 'qcow2', 'base', String(4 * MiB)], { cwd });
  await qemuIo('base', ['write -P 1 0 256k', 'write -P 2 2M 300k'], { cwd });
  await qemuImg(['bitmap', '--add', 'base', 'on'], { cwd });
  await qemuImg(['bitmap', '--add', '-g', '512', 'base', 'fine'], { cwd });
  await qemuImg(['bitmap', '--add', '-g', '1M', 'base', 'coarse'], { cwd });
  await qemuIo('base', ['write -P 3 1M 64k'], { cwd });
  await qemuImg(['bitmap', '--add', '--disable', 'base', 'off'], { cwd });
  await qemuImg(['bitmap', '--merge', 'on', 'base', 'off'], { cwd });
  for (const [name, bytes, use] of OVERLAYS) {
    const over = ['-b', 'base', '-F', 'qcow2', name, String(bytes)];
    await qemuImg(['create', '-q', '-f', 'qcow2', ...over], { cwd });
    await qemuIo(name, use.split('; '), { cwd });
    await qemuImg(['bitmap', '--add', '-g', '64k', name, 'own'], { cwd });
  }
}

async function seen(image: string): Promise<unknown> {
  const bytes = readFileSync(image);
  const { extensions, header } = await openImage(memoryDevice(bytes));
  return [plainBitmaps(bytes), extensions.map(({ kind }) => kind).sort(), header.diskSizeBytes];
}

const template = path.join(memoryDirectory(), 'template');

describeWithQemu('bitmaps note what is written into a disk', () => {
  beforeAll(async () => {
    mkdirSync(template);
    await makeAll(template);
  });

  const words = OVERLAYS.flatMap(([name]) => [
    ['commit', name],
    ['commit', '-d', name],
    ['rebase', '-b', '', name],
  ]);
  test.each(words.map((argv) => ({ argv, title: argv.join(' ') })))('$title', async ({ argv }) => {
    const pair = await editBoth(argv, memoryDirectory(), (directory) => {
      cpSync(template, directory, { recursive: true });
    });
    expect(pair.ours).toEqual(pair.qemu);
    for (const name of ['base', argv.at(-1)!]) {
      const [theirs, ours] = madeByBoth(pair, name);
      expect(await seen(ours), name).toEqual(await seen(theirs));
      await qemuImg(['compare', theirs, ours]);
      await expectClean(ours);
    }
  });
});
