import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../../src/cli/qsnap/run.js';
import { expectedContents } from '../../support/fixture.js';
import { fileHash } from '../../support/qemu.js';
import { imageOf, NOW, parsed, qsnap, shown } from './harness.js';
import { uninterrupted } from '../../../src/cli/interruption.js';

function placeOf(fixture: string): { image: string; out: (name: string) => string } {
  const image = imageOf(fixture);
  return { image, out: (name) => join(dirname(image), name) };
}

describe('what is said', () => {
  test('one line; with -q nothing', async () => {
    const { image, out } = placeOf('five-snapshots');
    const { code, stdout, stderr } = await qsnap(['export', image, 'id:2', '-o', out('2.raw')]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(shown(stdout, image).replace(out('2.raw'), '2.raw')).toBe(
      'Exported snapshot 2 "updates applied" of five-snapshots.qcow2 to 2.raw: raw, 4 MiB, 1.44 MiB of data.\n',
    );
    const quiet = await qsnap(['export', '-q', image, '-o', out('active.raw')]);
    expect(quiet).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('--sha256: a line for sha256sum -c, of a raw disk and of a qcow2 image', async () => {
    const { image, out } = placeOf('five-snapshots');
    for (const name of ['a.raw', 'a.qcow2', 'odd\\name\n.raw']) {
      const { stdout } = await qsnap(['export', '--sha256', image, '-o', out(name)]);
      const hash = await fileHash(out(name));
      const line = name.startsWith('odd')
        ? `\\${hash}  ${dirname(image)}/odd\\\\name\\n.raw\n`
        : `${hash}  ${out(name)}\n`;
      expect(stdout).toBe(line);
    }
  });

  test('--json and --manifest: where it is from, what it is, and hashes', async () => {
    const { image, out } = placeOf('resized-larger');
    const args = ['export', '--json', image, 'id:1', '-o', out('1.qcow2'), '-c'];
    const { stdout } = await qsnap([...args, '--manifest', out('m.json')]);
    const printed = parsed('export', stdout);
    const written = parsed('manifest', readFileSync(out('m.json'), 'utf8'));
    expect(printed).toEqual(written);
    const [first] = expectedContents('resized-larger').snapshots;
    expect(written).toMatchObject({
      filename: image,
      date: NOW.toISOString(),
      snapshot: { id: '1' },
      'disk-size': first!.diskSizeBytes,
      'content-sha256': first!.sha256,
      output: { format: 'qcow2', compression: 'zlib', sha256: await fileHash(out('1.qcow2')) },
    });
  });
});

describe('to stdout', () => {
  async function toStdout(argv: readonly string[], send?: (bytes: Uint8Array) => Promise<void>) {
    const parts: Uint8Array[] = [];
    let stderr = '';
    const code = await run(argv, {
      stdout: {
        isTerminal: false,
        write: () => undefined,
        send: send ?? ((bytes) => Promise.resolve(void parts.push(bytes.slice()))),
      },
      stderr: { isTerminal: false, write: (text) => (stderr += String(text)) },
      env: {},
      now: () => NOW,
      argumentsAreExact: () => true,
      interruptible: uninterrupted,
    });
    return { code, bytes: Buffer.concat(parts), stderr };
  }

  test('the whole disk and nothing else; the hash goes to stderr', async () => {
    const { image } = placeOf('five-snapshots');
    const { code, bytes, stderr } = await toStdout(['export', '--sha256', image, '-o', '-']);
    const hash = expectedContents('five-snapshots').active.sha256!;
    expect(code).toBe(0);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(hash);
    expect(stderr).toBe(`${hash}  -\n`);
  });

  test('a reader that goes away is a failure', async () => {
    const { image } = placeOf('five-snapshots');
    const gone = (): Promise<void> => Promise.reject(new Error('write EPIPE'));
    const { code, stderr } = await toStdout(['export', image, '-o', '-'], gone);
    expect({ code, stderr: shown(stderr, image) }).toEqual({
      code: 1,
      stderr: "qsnap: five-snapshots.qcow2: Can't write to stdout: write EPIPE\n",
    });
  });

  test.each([
    [['-f', 'qcow2'], 'stdout takes only raw disks'],
    [['--json'], 'stdout has the disk, and no JSON'],
  ])('%j is refused', async (more, words) => {
    const { image } = placeOf('five-snapshots');
    const { code, stderr } = await toStdout(['export', image, '-o', '-', ...more]);
    expect(code).toBe(1);
    expect(stderr).toContain(words);
  });

  test('a terminal is no place for a disk', async () => {
    const { image } = placeOf('five-snapshots');
    const { code, stderr } = await qsnap(['export', image, '-o', '-'], { terminal: true });
    expect(code).toBe(1);
    expect(stderr).toContain('a disk is not for a terminal');
  });
});

describe('what is refused', () => {
  test.each([
    [['-c', '-o', 'x.raw'], '--compress is for qcow2 images'],
    [['--cluster-size', '4K', '-o', 'x'], '--cluster-size is for qcow2 images'],
    [['--cluster-size', '3K', '-o', 'x.qcow2'], 'a power of two from 512 to 2M'],
    [['-o', 'x.qcow2', '-c', 'lzma'], '--compress=deflate or --compress=zstd'],
    [[], "required option '-o, --output <file>' not specified"],
  ])('%j', async (args, words) => {
    const { code, stderr } = await qsnap(['export', 'disk.qcow2', ...args]);
    expect(code).toBe(1);
    expect(stderr).toContain(words);
  });

  test('a file that is there, unless with --force', async () => {
    const { image, out } = placeOf('five-snapshots');
    writeFileSync(out('old.raw'), 'old');
    const { code, stdout, stderr } = await qsnap(['export', '--json', image, '-o', out('old.raw')]);
    expect(code).toBe(1);
    expect(parsed('export', stdout)).toMatchObject({ error: { code: 'OUTPUT_EXISTS' } });
    expect(stderr).toContain('hint: choose another name, or replace the file with --force\n');
    expect(readFileSync(out('old.raw'), 'utf8')).toBe('old');
    const forced = await qsnap(['export', '--force', image, '-o', out('old.raw')]);
    expect(forced.code).toBe(0);
    expect(statSync(out('old.raw')).size).toBe(4 * 2 ** 20);
  });

  test('the image itself, even with --force; also as the manifest', async () => {
    const { image, out } = placeOf('five-snapshots');
    const before = readFileSync(image);
    for (const more of [
      ['-o', image],
      ['-o', out('x.raw'), '--manifest', image],
    ]) {
      const { stdout } = await qsnap(['export', '--json', '--force', image, ...more]);
      expect(parsed('export', stdout)).toMatchObject({ error: { code: 'OUTPUT_IS_INPUT' } });
    }
    expect(readFileSync(image).equals(before)).toBe(true);
    expect(readdirSync(dirname(image))).toEqual(['five-snapshots.qcow2']);
  });

  test('a backing file that nobody allowed', async () => {
    const { image, out } = placeOf('backing');
    const { code, stderr } = await qsnap(['export', image, '-o', out('x.raw')]);
    expect(code).toBe(1);
    expect(shown(stderr, image)).toBe(
      'qsnap: backing.qcow2: the disk needs the backing file "base.raw", which was not opened\n' +
        'hint: if you trust the image, --backing opens what it names\n',
    );
  });

  test('an encrypted image without a passphrase, or with a wrong one: nothing is left', async () => {
    const { image, out } = placeOf('luks');
    writeFileSync(out('key'), 'wrong\n');
    const none = await qsnap(['export', '--json', image, '-o', out('x.raw')]);
    expect(parsed('export', none.stdout)).toMatchObject({ error: { code: 'ENCRYPTED' } });
    const args = ['export', '--json', image, '-o', out('x.raw'), '--passphrase-file', out('key')];
    const wrong = await qsnap(args);
    expect(parsed('export', wrong.stdout)).toMatchObject({ error: { code: 'PASSPHRASE_WRONG' } });
    const missing = await qsnap([...args.slice(0, -1), out('no-key')]);
    expect(parsed('export', missing.stdout)).toMatchObject({ error: { code: 'OPEN_FAILED' } });
    expect(readdirSync(dirname(image)).toSorted()).toEqual(['key', 'luks.qcow2']);
  });

  test('a disk that turns out to be damaged: what was written is gone, an old file stays', async () => {
    const { image, out } = placeOf('l2-past-end');
    writeFileSync(out('old.raw'), 'old');
    const args = ['export', '--json', '--force', image, '-o', out('old.raw')];
    const { code, stdout } = await qsnap([...args, '--manifest', out('m.json')]);
    expect(code).toBe(1);
    expect(parsed('export', stdout)).toMatchObject({ error: { code: 'IMAGE_DAMAGED' } });
    expect(readFileSync(out('old.raw'), 'utf8')).toBe('old');
    expect(readdirSync(dirname(image)).toSorted()).toEqual(['l2-past-end.qcow2', 'old.raw']);
  });
});

test('what an export that was cut off left behind is replaced, and that is said', async () => {
  const { image, out } = placeOf('five-snapshots');
  writeFileSync(out('.x.raw.qsnap-partial'), 'half');
  const { code, stderr } = await qsnap(['export', image, '-o', out('x.raw')]);
  expect(code).toBe(0);
  expect(stderr).toMatch(
    /^warning: removed what an export that was cut off had left of .*x\.raw\n$/,
  );
  expect(existsSync(out('.x.raw.qsnap-partial'))).toBe(false);
});
