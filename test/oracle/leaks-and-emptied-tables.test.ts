/**
 * A leak looks as what an emptied table referred to: an edit that empties one is refused as long as there are leaks. QEMU
 * made the images; it does such edits, and finds leaks alone before and after.
 */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { qsnap } from '../cli/qsnap/harness.js';
import { temporaryDirectory } from '../support/directories.js';
import { blockAt, layoutOf, putRefcountAt } from '../support/image-builder-layout.js';
import { check, describeWithQemu, expectClean, qemuImg, qemuIo } from '../support/qemu.js';

const CLUSTER = 65_536;

/** Adds a cluster that counts as used and that nothing refers to. */
function leak(image: string): void {
  const clusters = Math.ceil(readFileSync(image).length / CLUSTER);
  const bytes = new Uint8Array((clusters + 1) * CLUSTER);
  bytes.set(readFileSync(image));
  bytes.fill(7, clusters * CLUSTER);
  const layout = layoutOf(bytes);
  putRefcountAt(bytes, blockAt(bytes, layout, clusters), layout.refcountBits, clusters, 1n);
  writeFileSync(image, bytes);
}

/** An image whose edit leaves a table without any entry. */
const CASES: Readonly<Record<string, { make: () => Promise<string>; edit: readonly string[] }>> = {
  resize: {
    make: async () => {
      const image = `${temporaryDirectory()}/disk.qcow2`;
      await qemuImg(['create', '-q', '-f', 'qcow2', image, '1G']);
      await qemuIo(image, ['write -P 1 900M 64k']);
      return image;
    },
    edit: ['resize', '--shrink', 'IMAGE', '512M'],
  },
};

describeWithQemu('an edit that empties a table', () => {
  for (const [name, { make, edit }] of Object.entries(CASES)) {
    test(`${name} is refused beside a leak, and done once that is repaired`, async () => {
      const image = await make();
      const sound = `${image}.sound`;
      copyFileSync(image, sound);
      const words = (file: string) => edit.map((word) => (word === 'IMAGE' ? file : word));
      expect(await qsnap([...words(sound), '--verify'])).toMatchObject({ code: 0 });
      await expectClean(sound);
      expect(await qsnap(['check', sound])).toMatchObject({ code: 0 });

      leak(image);
      expect((await check(image)).code).toBe(3);
      const before = readFileSync(image);
      const { code, stderr } = await qsnap(words(image));
      expect(code).toBe(1);
      expect(stderr).toContain('it has 1 leaked cluster, which would look as what a table');
      expect(stderr).toContain('`qsnap repair IMAGE leaks` frees them');
      expect(readFileSync(image).equals(before)).toBe(true);
      await qsnap(['repair', image, 'leaks']);
      expect(await qsnap([...words(image), '--verify'])).toMatchObject({ code: 0 });
      await expectClean(image);
    });
  }
});

/** QEMU lowers no refcounts of the VM state that it cuts off with the end of a disk. */
describeWithQemu('a disk that QEMU made smaller, with VM state behind it', () => {
  const SHAPES = ['cluster_size=4k', 'cluster_size=64k', 'extended_l2=on,cluster_size=16k'];

  async function shrunk(shape: string, isShared: boolean): Promise<string> {
    const image = `${temporaryDirectory()}/disk.qcow2`;
    await qemuImg(['create', '-q', '-f', 'qcow2', '-o', shape, image, '2G']);
    await qemuIo(image, ['write -P 1 0 1M', 'write -b -P 7 0 4800k']);
    if (isShared) await qemuImg(['snapshot', '-c', 'one', image]);
    await qemuImg(['resize', '-q', '--shrink', image, '8M']);
    expect((await check(image)).code).toBe(3);
    return image;
  }

  test.each(SHAPES)('%s: that a snapshot shares is a leak', async (shape) => {
    const image = await shrunk(shape, true);
    expect((await qsnap(['check', image])).code).toBe(3);
    expect(await qsnap(['rename', image, 'one', 'two'])).toMatchObject({ code: 0 });
    expect(await qsnap(['repair', image, 'leaks'])).toMatchObject({ code: 0 });
    await expectClean(image);
  });

  test('that nothing else has looks as a loss: the refusal names the repair', async () => {
    const image = await shrunk('cluster_size=4k', false);
    const { code, stdout } = await qsnap(['check', image]);
    expect(code).toBe(2);
    expect(stdout).toContain('TABLE_EMPTIED: QEMU leaves the same, and loses nothing');
    expect(stdout).toContain('`qsnap repair IMAGE perhaps-lost` gives up all');
    const edit = await qsnap(['create', image, 'one']);
    expect(edit.code).toBe(1);
    expect(edit.stderr).toContain('`qsnap repair IMAGE perhaps-lost` frees it');
    expect(await qsnap(['repair', image, 'perhaps-lost'])).toMatchObject({ code: 0 });
    expect(await qsnap(['create', image, 'one'])).toMatchObject({ code: 0 });
    await expectClean(image);
  });
});
