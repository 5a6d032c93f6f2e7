/** Headers that no image can be opened by: what lies in the file may be all there. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { loadFixture } from '../../support/fixture.js';
import { qsnap } from './harness.js';

/** Bytes of the header at an offset. */
const DAMAGES: readonly (readonly [string, number, readonly number[]])[] = [
  ['the magic', 0, [0x52]],
  ['the version', 7, [7]],
  ['cluster_bits', 20, [0, 0, 0, 48]],
  ['too few L1 entries', 36, [0, 0, 0, 0]],
  ['the place of the active L1', 46, [1]],
  ['the encryption method', 32, [0, 0, 0, 5]],
  ['an unknown feature', 79, [0x80]],
  ['refcount_order', 99, [100]],
  ['header_length', 100, [0, 1, 0, 104]],
];

test.each(DAMAGES)('%s: a refusal leads to a rescue, which gets through', async (_, at, wrong) => {
  const image = path.join(temporaryDirectory(), 'disk.qcow2');
  const bytes = loadFixture('five-snapshots');
  bytes.set(wrong, at);
  writeFileSync(image, bytes);
  for (const argv of [
    ['check', image],
    ['repair', image],
    ['create', image, 'new'],
  ]) {
    const { code, stderr } = await qsnap(argv);
    // What is no image can't be checked, as qemu-img puts it.
    expect(code).toBe(argv[0] === 'check' && at === 0 ? 63 : 1);
    expect(stderr).toMatch(/\nhint: .*`qsnap rescue --plan \S+` shows what can be brought back\n/);
  }
  expect(readFileSync(image).equals(bytes)).toBe(true);
  const { stdout } = await qsnap(['rescue', '--plan', image]);
  expect(stdout).toMatch(/: \d+ disks? found\n/);
});
