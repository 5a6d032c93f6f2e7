/**
 * Images of QEMU's with what `audit --fix` mends: leaks, the dirty mark, what was deleted. QEMU then finds them clean,
 * reads from each disk what it read before, and a guest writes on.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { qsnap } from '../cli/qsnap/harness.js';
import { memoryDirectory } from '../support/directories.js';
import { blockAt, blockEntries, layoutOf, putRefcountAt } from '../support/image-builder-layout.js';
import { makeImage } from '../support/made-images.js';
import {
  contentHash,
  describeWithQemu,
  expectClean,
  expectIdentical,
  qemuImg,
  qemuIo,
  snapshotList,
} from '../support/qemu.js';

const PATTERN = 'the key is hunter2. ';

/** An image with two snapshots, of which a third was deleted without a word to the host. */
async function used(image: string, options: string): Promise<void> {
  const pattern = path.join(path.dirname(image), 'pattern');
  writeFileSync(pattern, PATTERN.repeat(1024));
  await makeImage(
    image,
    '8M',
    options,
    [`write -q -s ${pattern} 0 300k`, 'write -q -P 7 1M 1M'],
    'snapshot of customer 4711',
    ['write -q -P 9 0 512k'],
    'snapshot one',
    ['write -q -P 5 2M 256k'],
    'snapshot two',
    ['write -q -P 6 1M 64k'],
  );
  const kept = `driver=qcow2,pass-discard-snapshot=off,pass-discard-other=off,file.filename=${image}`;
  await qemuImg(['snapshot', '--image-opts', '-d', 'of customer 4711', kept]);
}

/** Clusters at the end of the file that count as used and that nothing refers to; an old header; the dirty mark. */
function damaged(image: string): void {
  const old = readFileSync(image);
  const { clusterBytes, refcountBits } = layoutOf(old);
  const first = Math.ceil(old.length / clusterBytes);
  const bytes = Buffer.alloc((first + 2) * clusterBytes, PATTERN);
  bytes.set(old);
  bytes.fill(0, old.length, first * clusterBytes);
  const layout = layoutOf(bytes);
  for (const cluster of [first, first + 1]) {
    const index = cluster % blockEntries(layout);
    putRefcountAt(bytes, blockAt(bytes, layout, cluster), refcountBits, index, 1n);
  }
  bytes.fill(PATTERN, clusterBytes - 64, clusterBytes);
  // Version 2 has no such mark.
  if (bytes[7] === 3) bytes[79]! |= 1;
  writeFileSync(image, bytes);
}

async function contentsOf(image: string): Promise<readonly string[]> {
  const snapshots = await snapshotList(image);
  const hashes = snapshots.map(async ({ id, name }) => `${name} ${await contentHash(image, id)}`);
  return Promise.all(hashes);
}

describeWithQemu('a mended image', () => {
  test.each([['compat=0.10'], ['lazy_refcounts=on,cluster_size=4k'], ['extended_l2=on']])(
    'of %s is clean, and holds what it held',
    async (options) => {
      const image = path.join(memoryDirectory(), 'disk.qcow2');
      await used(image, options);
      const before = `${image}.before`;
      copyFileSync(image, before);
      const contents = await contentsOf(before);
      damaged(image);
      const argv = ['audit', '--profile', 'golden-image', '--format', 'json'];
      const { stdout: found } = await qsnap([...argv, image]);
      const broken = (text: string): readonly string[] =>
        [...text.matchAll(/"rule": "(QS\d+)"/g)].map(([, id]) => id!);
      expect(broken(found)).toEqual(expect.arrayContaining(['QS1602', 'QS1701', 'QS1702']));
      const { stdout, stderr } = await qsnap([...argv, '--fix', '--yes', image]);
      expect(stderr).toBe('');
      const left = broken(stdout);
      for (const id of ['QS1302', 'QS1602', 'QS1701', 'QS1702']) expect(left).not.toContain(id);
      const bytes = readFileSync(image);
      expect([PATTERN, 'customer 4711'].map((text) => bytes.includes(text))).toEqual([
        false,
        false,
      ]);
      await expectClean(image);
      await expectIdentical(before, image);
      expect(await contentsOf(image)).toEqual(contents);
      await qemuIo(image, ['write -q -P 3 256k 4M']);
      await qemuIo(image, ['read -q -P 9 0 256k', 'read -q -P 3 256k 4M']);
      await expectClean(image);
    },
  );
});
