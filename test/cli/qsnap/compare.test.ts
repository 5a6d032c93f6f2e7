import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { imageOf, parsed, qsnap, shown } from './harness.js';

async function exported(fixture: string): Promise<{ image: string; raw: string }> {
  const image = imageOf(fixture);
  const raw = join(dirname(image), 'disk.raw');
  await qsnap(['export', image, '-o', raw]);
  return { image, raw };
}

test('an image and its raw copy are the same: exit code 0', async () => {
  const { image, raw } = await exported('five-snapshots');
  const { code, stdout, stderr } = await qsnap(['compare', image, raw]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(shown(stdout, image)).toMatch(
    /^the active disk of five-snapshots.qcow2 and .*disk.raw have the same content.\n$/,
  );
  expect(await qsnap(['compare', '-q', image, raw])).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('one byte makes a difference: exit code 1, and where it is', async () => {
  const { image, raw } = await exported('five-snapshots');
  const bytes = readFileSync(raw);
  bytes[1_000_001]! ^= 1;
  writeFileSync(raw, bytes);
  const { code, stdout } = await qsnap(['compare', '--json', raw, image]);
  expect(code).toBe(1);
  expect(parsed('compare', stdout)).toMatchObject({
    same: false,
    'first-difference': 1_000_001,
    ranges: [{ start: 999_936, length: 512 }],
    disks: [{ format: 'raw' }, { format: 'qcow2' }],
  });
  const text = await qsnap(['compare', raw, image]);
  expect(text.stdout).toContain(
    'differ in 1 range of 512 bytes in all; the first byte is at 0xf4241.\n  START  BYTES\n0xf4200    512\n',
  );
});

test('sizes that differ are told', async () => {
  const { image, raw } = await exported('five-snapshots');
  writeFileSync(raw, Buffer.concat([readFileSync(raw), Buffer.alloc(512)]));
  const { code, stdout } = await qsnap(['compare', image, raw]);
  expect(code).toBe(0);
  expect(shown(stdout, image)).toMatch(
    /\n.*disk.raw is 512 bytes longer than the active disk of five-snapshots.qcow2; that rest was held to be zero\.\n$/,
  );
});

describe('snapshots', () => {
  test('with each other, with the active disk, with a file', async () => {
    const image = imageOf('five-snapshots');
    const raw = join(dirname(image), '2.raw');
    await qsnap(['export', image, 'id:2', '-o', raw]);
    const codes: Record<string, readonly string[]> = {
      'with itself': [image, '-s', 'id:2', '-w', 'id:2'],
      'with a file': [image, raw, '-s', 'id:2'],
      'of the other': [raw, image, '-w', 'id:2'],
    };
    for (const [what, args] of Object.entries(codes)) {
      expect((await qsnap(['compare', ...args])).code, what).toBe(0);
    }
    const active = await qsnap(['compare', '--json', image, '-s', 'id:2']);
    expect(active.code).toBe(1);
    expect(parsed('compare', active.stdout)).toMatchObject({
      disks: [{ snapshot: { id: '2' } }, {}],
    });
  });

  test('of an image whose backing file nobody opens: what both leave to it is the same', async () => {
    const image = imageOf('backing');
    expect((await qsnap(['create', image, 'now'])).code).toBe(0);
    expect((await qsnap(['compare', image, '-s', 'name:now'])).code).toBe(0);
    const { code, stderr } = await qsnap(['compare', image, imageOf('five-snapshots')]);
    expect(code).toBe(2);
    expect(stderr).toContain('hint: if you trust the image, --backing opens what it names\n');
  });
});

describe('what was not compared is exit code 2', () => {
  test.each([
    [['disk.qcow2'], 'one disk is nothing to compare'],
    [['no-such-file', '-s', 'x'], "Can't open no-such-file"],
    [['--max-ranges', 'many', 'a', 'b'], 'Write a number below a million'],
  ])('%j', async (args, words) => {
    const { code, stderr } = await qsnap(['compare', ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(words);
  });

  test('errors name the file that they are about', async () => {
    const image = imageOf('five-snapshots');
    const other = imageOf('version-3');
    const { code, stdout, stderr } = await qsnap(['compare', '--json', image, other, '-w', 'none']);
    expect(code).toBe(2);
    expect(stderr).toContain('version-3.qcow2: no snapshot has the id or name "none"');
    expect(parsed('compare', stdout)).toMatchObject({ error: { code: 'SNAPSHOT_NOT_FOUND' } });
    const raw = await qsnap(['compare', image, other, '--format', 'raw']);
    expect(raw.code).toBe(1);
  });
});
