import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/directories.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import type { ON_DISK_DIFFERENCES } from './parity-differences.js';
import { editBoth } from './parity.js';

const NAME: (typeof ON_DISK_DIFFERENCES)[number] = 'first-block-hole';
const BLOCK_BYTES = 4096;

interface Entry {
  readonly start: number;
  readonly length: number;
  readonly data: boolean;
  readonly zero: boolean;
}

/** Holes and data of a raw file. */
async function mapOf(file: string): Promise<readonly Entry[]> {
  const { stdout } = await qemuImg(['map', '--output=json', '-f', 'raw', file]);
  const entries = JSON.parse(stdout) as Entry[];
  return entries.map(({ start, length, data, zero }) => ({ start, length, data, zero }));
}

function makeInputs(directory: string): void {
  const at = (name: string): string => path.join(directory, name);
  writeFileSync(at('hole'), '');
  truncateSync(at('hole'), 300_032);
  writeFileSync(at('zeros-first'), Buffer.alloc(2 ** 20, 'data').fill(0, 0, 2 ** 18));
  writeFileSync(at('data-first'), Buffer.alloc(2 ** 20, 'data').fill(0, 2 ** 18, 2 ** 19));
}

describeWithQemu(NAME, () => {
  const converted = async (input: string) => {
    const argv = ['convert', '-f', 'raw', '-O', 'raw', input, 'out'];
    const pair = await editBoth(argv, temporaryDirectory(), makeInputs);
    expect(pair.ours).toEqual(pair.qemu);
    const theirs = path.join(pair.qemuDirectory, 'out');
    const ours = path.join(pair.ourDirectory, 'out');
    expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
    return { theirs: await mapOf(theirs), ours: await mapOf(ours) };
  };

  test.each(['hole', 'zeros-first'])(
    '%s: QEMU keeps a block that is a hole here',
    async (input) => {
      const { theirs, ours } = await converted(input);
      const length = ours[0]!.length;
      const first = { start: 0, length: BLOCK_BYTES, data: true, zero: false };
      const rest = { start: BLOCK_BYTES, length: length - BLOCK_BYTES, data: false, zero: true };
      expect(ours[0]).toEqual({ start: 0, length, data: false, zero: true });
      // But for the first block all is the same.
      expect(theirs).toEqual([first, rest, ...ours.slice(1)]);
    },
  );

  test('data-first: no difference', async () => {
    const { theirs, ours } = await converted('data-first');
    expect(ours).toEqual(theirs);
    expect(ours).toHaveLength(3);
  });
});
