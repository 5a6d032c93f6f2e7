/** `qsnap set`: another backing file, or none. */
import { copyFileSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadFixture } from '../../support/fixture.js';
import { describeWithQemu, qemuImg } from '../../support/qemu.js';
import { expectSound, imageOf, parsed, qsnap, shown } from './harness.js';

/** An image in a folder with `base.qcow2`, which is one, and `base.raw`, which is none. */
function beside(fixture: string): string {
  const image = imageOf(fixture);
  const folder = path.dirname(image);
  writeFileSync(path.join(folder, 'base.qcow2'), loadFixture('no-snapshots'));
  writeFileSync(path.join(folder, 'base.raw'), new Uint8Array(65_536));
  return image;
}

async function backingOf(image: string): Promise<readonly unknown[]> {
  const { stdout } = await qsnap(['info', '--json', image]);
  const { images } = parsed('info', stdout) as { images: [Record<string, unknown>] };
  return [images[0]['backing-filename'], images[0]['backing-filename-format']];
}

/** QEMU opens an image only with what it stands on. */
async function expectSoundWithout(image: string): Promise<void> {
  expect((await qsnap(['set', '-q', image, '--no-backing'])).code).toBe(0);
  await expectSound(image);
}

const QCOW2 = ['--backing', 'base.qcow2', '--backing-format', 'qcow2'];

describe('set', () => {
  test('records a backing file, says what was there, and takes it off again', async () => {
    const image = beside('five-snapshots');
    const first = await qsnap(['set', image, ...QCOW2]);
    expect(shown(first.stdout, image)).toBe(
      'five-snapshots.qcow2 stands on "base.qcow2" (qcow2) now; it had no backing file.\n',
    );
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(await backingOf(image)).toEqual(['base.qcow2', 'qcow2']);
    const second = await qsnap(['set', '--verify', '--no-backing', image]);
    expect(shown(second.stdout, image)).toBe(
      'five-snapshots.qcow2 stands on no backing file now; it stood on "base.qcow2" (qcow2).\n' +
        'Verified: what was written reads back, and a check finds nothing new.\n',
    );
    expect(await backingOf(image)).toEqual([undefined, undefined]);
    await expectSound(image);
  });

  test('a dry run says the same and writes nothing', async () => {
    const image = beside('backing-chain');
    const before = readFileSync(image);
    const { code, stdout } = await qsnap(['set', '-n', image, '--backing', 'base.qcow2']);
    expect(code).toBe(0);
    expect(stdout).toContain('\nWould stand on the backing file "base.qcow2".\n');
    expect(stdout).toContain('The image stood on "');
    const json = await qsnap(['set', '-n', '--json', image, ...QCOW2]);
    expect(parsed('edit', json.stdout)).toMatchObject({
      operation: 'set',
      'dry-run': true,
      after: { 'backing-filename': 'base.qcow2', 'backing-filename-format': 'qcow2' },
    });
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  test('tells a program what was and what is', async () => {
    const image = beside('backing-chain');
    const [name, format] = await backingOf(image);
    const { stdout } = await qsnap(['set', '--json', image, '--no-backing']);
    expect(parsed('edit', stdout)).toMatchObject({
      operation: 'set',
      'dry-run': false,
      before: { 'backing-filename': name, 'backing-filename-format': format },
      after: {},
    });
    await expectSound(image);
  });

  test.each([
    ['base.qcow2', undefined, 'no format is recorded for "base.qcow2"'],
    ['gone.qcow2', 'qcow2', 'the backing file "gone.qcow2" can\'t be looked at: Can\'t open'],
    ['gone.vmdk', 'vmdk', 'there is no such file'],
    ['base.qcow2', 'raw', '"base.qcow2" begins as a qcow2 image does'],
    ['base.raw', 'qcow2', '"base.raw" does not begin as a qcow2 image does'],
  ])('warns of %s as %s, and records it', async (name, format, warning) => {
    const image = beside('five-snapshots');
    const words = format === undefined ? [] : ['--backing-format', format];
    const { code, stderr } = await qsnap(['set', image, '--backing', name, ...words]);
    expect(code).toBe(0);
    expect(stderr).toContain(`warning: `);
    expect(stderr).toContain(warning);
    expect(await backingOf(image)).toEqual([name, format]);
    await expectSoundWithout(image);
  });

  test.each(['nbd://host/disk', 'json:{"driver":"raw"}'])('%s is not looked at', async (name) => {
    const image = beside('five-snapshots');
    const argv = ['set', image, '--backing', name, '--backing-format', 'raw'];
    expect(await qsnap(argv)).toMatchObject({ code: 0, stderr: '' });
    await expectSoundWithout(image);
  });

  test('warns of a chain that is not whole further down', async () => {
    const image = beside('five-snapshots');
    const middle = path.join(path.dirname(image), 'base.qcow2');
    await qsnap(['set', middle, '--backing', 'gone', '--backing-format', 'raw']);
    const { code, stderr } = await qsnap(['set', image, ...QCOW2]);
    expect(code).toBe(0);
    expect(stderr).toContain('the chain below "base.qcow2" is not whole');
    await expectSoundWithout(image);
  });
});

describe('set refuses', () => {
  async function expectRefused(image: string, argv: readonly string[]): Promise<string> {
    const before = readFileSync(image);
    const { code, stderr } = await qsnap(['set', image, ...argv]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
    expect(readFileSync(image).equals(before)).toBe(true);
    await expectSound(image);
    return stderr;
  }

  test('the image itself, by whatever name', async () => {
    const image = beside('five-snapshots');
    symlinkSync(image, path.join(path.dirname(image), 'link'));
    for (const name of [path.basename(image), image, 'link']) {
      const argv = ['--backing', name, '--backing-format', 'qcow2'];
      expect(await expectRefused(image, argv)).toContain('would be the image itself');
    }
  });

  test('a chain that leads back to the image', async () => {
    const image = beside('five-snapshots');
    const middle = path.join(path.dirname(image), 'base.qcow2');
    const own = path.basename(image);
    await qsnap(['set', middle, '--backing', own, '--backing-format', 'qcow2']);
    expect(await expectRefused(image, QCOW2)).toContain('leads back to itself');
  });

  test('names and formats that no image can have', async () => {
    const image = beside('five-snapshots');
    const long = ['--backing', 'n'.repeat(1024)];
    expect(await expectRefused(image, long)).toContain('this can be no name of a backing file');
    const format = ['--backing', 'base.raw', '--backing-format', 'a-very-long-name'];
    expect(await expectRefused(image, format)).toContain('this can be no format');
  });

  test.each([
    [[], 'say --backing FILE or --no-backing'],
    [['--backing', 'a', '--no-backing'], 'only one of them'],
    [['--no-backing', '--backing-format', 'raw'], '--backing-format says what the file'],
    [['--backing', ''], 'argument is empty'],
    [['--backing', 'a', '--undo', 'f'], "unknown option '--undo'"],
  ])('%j', async (words, told) => {
    const { code, stderr } = await qsnap(['set', 'disk.qcow2', ...words]);
    expect(code).toBe(1);
    expect(stderr).toContain(told);
  });
});

describeWithQemu('an image with an external data file', () => {
  const made = async (options: string): Promise<string> => {
    const image = beside('no-snapshots');
    const data = path.join(path.dirname(image), 'data.raw');
    const create = ['create', '-q', '-f', 'qcow2', '-o', `data_file=${data}${options}`];
    await qemuImg([...create, image, '1M']);
    return image;
  };

  test('stands on another file', async () => {
    const image = await made('');
    const verified = await qsnap(['set', '--verify', image, ...QCOW2]);
    expect(verified).toMatchObject({ code: 0, stderr: '' });
    expect(await backingOf(image)).toEqual(['base.qcow2', 'qcow2']);
    const info: unknown = JSON.parse((await qemuImg(['info', '--output=json', image])).stdout);
    expect(info).toMatchObject({
      'backing-filename': 'base.qcow2',
      'backing-filename-format': 'qcow2',
    });
    await qemuImg(['check', image]);
  });

  test('stands on none where its data is a raw disk', async () => {
    const image = await made(',data_file_raw=on');
    const before = readFileSync(image);
    const { code, stderr } = await qsnap(['set', image, ...QCOW2]);
    expect(code).toBe(1);
    expect(stderr).toContain('the external data file is to be readable as a raw disk');
    expect(readFileSync(image).equals(before)).toBe(true);
    expect((await qsnap(['set', image, '--no-backing'])).code).toBe(0);
    await qemuImg(['check', image]);
  });
});

describeWithQemu('QEMU', () => {
  test.each(['five-snapshots', 'version-2', 'luks', 'bitmaps', 'cluster-512'])(
    'sees the same file in %s, and the same image',
    async (fixture) => {
      const image = beside(fixture);
      const other = `${image}.copy`;
      copyFileSync(image, other);
      expect((await qsnap(['set', image, ...QCOW2])).code).toBe(0);
      const info = async (file: string): Promise<Record<string, unknown>> => ({
        ...(JSON.parse((await qemuImg(['info', '-U', '--output=json', file])).stdout) as object),
      });
      const [now, was] = [await info(image), await info(other)];
      expect(now['backing-filename']).toBe('base.qcow2');
      expect(now['backing-filename-format']).toBe('qcow2');
      expect(now['snapshots']).toEqual(was['snapshots']);
      expect(now['format-specific']).toEqual(was['format-specific']);
      // QEMU checks an encrypted image with its key alone.
      if (fixture === 'luks') expect((await qsnap(['check', image])).code).toBe(0);
      else await expectSound(image);
    },
  );
});
