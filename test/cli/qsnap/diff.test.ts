import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyCompanions } from '../../support/fixture.js';
import { expectClean, contentHash, fileHash, judgedByQemu } from '../../support/qemu.js';
import { imageOf, parsed, qsnap, shown } from './harness.js';

interface Range {
  readonly start: number;
  readonly length: number;
  readonly kind: string;
}

interface Document {
  readonly ranges: readonly Range[];
  readonly same: boolean;
  readonly patch?: Readonly<Record<string, unknown>>;
}

async function document(...argv: readonly string[]): Promise<Document> {
  const { stdout } = await qsnap(['diff', '--json', ...argv]);
  return parsed('diff', stdout) as Document;
}

test('ranges, their kinds, and what they come to: exit code 1', async () => {
  const image = imageOf('five-snapshots');
  const { code, stdout, stderr } = await qsnap(['diff', image, 'id:2', 'id:3']);
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(shown(stdout, image)).toMatchInlineSnapshot(`
    "START           LENGTH          KIND
    0xf0000         0x20000         data
    0x300000        0x20000         data
    snapshot 2 "updates applied" and snapshot 3 "before database migration" of five-snapshots.qcow2 differ in 2 ranges of 256 KiB (262144 bytes) in all: data 256 KiB, zeroed 0 B, unmapped 0 B.
    "
  `);
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  expect(readme).toContain(shown(stdout, image).replace('five-snapshots.qcow2', 'disk.qcow2'));
  const { ranges } = await document(image, 'id:2', 'id:3');
  expect(ranges.length).toBe(stdout.split('\n').length - 3);
  expect(await qsnap(['diff', '-q', image, 'id:2', 'id:3'])).toEqual({
    ...{ code: 1, stdout: '', stderr: '' },
  });
});

test('a disk and itself: exit code 0', async () => {
  const image = imageOf('five-snapshots');
  const { code, stdout } = await qsnap(['diff', image, 'id:2', 'id:2']);
  expect(code).toBe(0);
  expect(shown(stdout, image)).toMatch(/^snapshot 2 .* have no ranges that differ\.\n$/);
  expect(await document(image, 'active')).toMatchObject({ same: true, ranges: [] });
  expect((await qsnap(['diff', '--extents', image, 'active'])).stdout).toBe('[]\n');
});

test('what can not be compared: exit code 2', async () => {
  const image = imageOf('five-snapshots');
  const patch = ['--patch', join(dirname(image), 'p.qcow2')];
  const cases: readonly (readonly string[])[] = [
    [image, 'nobody'],
    [image],
    ['missing.qcow2', 'id:1'],
    [image, 'id:1', ...patch, '--raw-patch', 'x'],
    [image, 'id:1', '--backing-file', 'x'],
    [image, 'id:1', ...patch, '--backing-format', 'raw'],
    [image, 'id:1', ...patch],
    [image, 'id:1', ...patch, '--backing-file', image, '--backing-format', 'raw'],
  ];
  for (const argv of cases) {
    const { code, stdout } = await qsnap(['diff', '--json', ...argv]);
    expect(code, argv.join(' ')).toBe(2);
    expect(parsed('diff', stdout)).toHaveProperty('error');
    const extents = await qsnap(['diff', '--json', '--extents', ...argv]);
    expect(parsed('changed-blocks', extents.stdout)).toHaveProperty('error');
  }
  expect(existsSync(patch[1]!)).toBe(false);
  const { stderr } = await qsnap(['diff', image, 'id:1', ...patch]);
  expect(shown(stderr, image)).toMatchInlineSnapshot(`
    "qsnap: no overlay can lie on snapshot 1 "clean install" of five-snapshots.qcow2: a backing file is read as its active disk
    hint: export the snapshot, and name that file with --backing-file
    "
  `);
});

test('damage in what differs ends the list, which shows that it is none', async () => {
  const image = imageOf('l2-unaligned');
  const { code, stdout } = await qsnap(['diff', '--json', image, '#0']);
  const text = await qsnap(['diff', '--extents', image, '#0']);
  expect([code, text.code]).toEqual([2, 2]);
  expect(parsed('diff', stdout)).toMatchObject({ error: { code: 'IMAGE_DAMAGED' } });
  expect(() => JSON.parse(text.stdout) as unknown).toThrow(SyntaxError);
});

test('equal bytes in other clusters are no difference with --content', async () => {
  const image = imageOf('five-snapshots');
  const all = await document(image, 'id:1', 'id:3');
  const { ranges } = await document('--content', image, 'id:1', 'id:3');
  const same = ranges.filter(({ kind }) => kind === 'same-content');
  expect(all.ranges.every(({ kind }) => kind !== 'same-content')).toBe(true);
  const sum = (one: readonly Range[]) => one.reduce((total, { length }) => total + length, 0);
  expect(sum(ranges)).toBe(sum(all.ranges));
  const extents = await qsnap(['diff', '--content', '--extents', image, 'id:1', 'id:3']);
  const blocks = parsed('changed-blocks', extents.stdout) as readonly Range[];
  expect(sum(blocks)).toBe(sum(ranges) - sum(same));
});

test('disks of different sizes differ, and it is said how', async () => {
  const image = imageOf('resized-larger');
  const { code, stdout } = await qsnap(['diff', image, '#0']);
  expect(code).toBe(1);
  expect(shown(stdout, image)).toMatch(
    /\nthe active disk is .* longer than snapshot .*, which counts as zeros there\.\n$/,
  );
  const smaller = await qsnap(['diff', '--extents', image, 'active', '#0']);
  const blocks = parsed('changed-blocks', smaller.stdout) as readonly Range[];
  const info = await document(image, 'active', '#0');
  const end = (info as unknown as { disks: readonly Record<string, number>[] }).disks[1]!;
  for (const { start, length } of blocks) {
    expect(start + length).toBeLessThanOrEqual(end['disk-size']!);
  }
});

describe('patches', () => {
  test('an overlay on an export of the disk before is the disk after', async () => {
    const image = imageOf('five-snapshots');
    const folder = dirname(image);
    const [base, patch] = [join(folder, '1.raw'), join(folder, 'sub', 'patch.qcow2')];
    mkdirSync(dirname(patch));
    await qsnap(['export', image, 'id:1', '-o', base]);
    const argv = [image, 'id:1', 'id:3', '--patch', patch, '--backing-file', base];
    const { code, stdout, stderr } = await qsnap(['diff', ...argv]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(shown(stdout, image)).toMatch(/\nWrote .* of data and .* of zeros to .*, over .*\.\n$/);
    await judgedByQemu(async () => {
      await expectClean(patch);
      expect(await contentHash(patch)).toBe(await contentHash(image, '3'));
    });
    // It is there, and stays.
    expect((await qsnap(['diff', ...argv])).code).toBe(2);
    const again = await document(...argv, '--force');
    expect(again.patch).toMatchObject({ filename: patch, format: 'qcow2' });
  });

  test('an overlay on the image itself is a snapshot again', async () => {
    const image = imageOf('five-snapshots');
    const before = readFileSync(image);
    const patch = join(dirname(image), 'old.qcow2');
    const { code } = await qsnap(['diff', image, 'active', 'id:2', '--patch', patch]);
    expect(code).toBe(1);
    expect(Buffer.compare(readFileSync(image), before)).toBe(0);
    await judgedByQemu(async () => {
      await expectClean(patch);
      expect(await contentHash(patch)).toBe(await contentHash(image, '2'));
    });
    const refused = await qsnap(['diff', image, 'active', 'id:2', '--patch', image, '--force']);
    expect(refused.code).toBe(2);
    expect(Buffer.compare(readFileSync(image), before)).toBe(0);
  });

  test('a backing file of another size is refused', async () => {
    const image = imageOf('five-snapshots');
    const folder = dirname(image);
    const base = join(folder, 'short.raw');
    writeFileSync(base, new Uint8Array(512));
    const argv = ['--patch', join(folder, 'p.qcow2'), '--backing-file', base];
    const { code, stderr } = await qsnap(['diff', image, 'id:1', ...argv]);
    expect(code).toBe(2);
    expect(stderr).toContain('its disk has 512 bytes\n');
  });

  test('a raw patch and its map make one disk of the other', async () => {
    const image = imageOf('backing');
    copyCompanions('backing', dirname(image));
    const folder = dirname(image);
    const [before, after, patch] = ['1.raw', '2.raw', 'patch.raw'].map((n) => join(folder, n));
    const { code, stderr } = await qsnap(['diff', image, '#0', '#1', '--raw-patch', patch!]);
    expect(code).toBe(2);
    expect(stderr).toContain('hint: if you trust the image, --backing opens what it names\n');
    await qsnap(['export', '--backing', image, '#0', '-o', before!]);
    await qsnap(['export', '--backing', image, '#1', '-o', after!]);
    const { ranges } = await document('--backing', image, '#0', '#1', '--raw-patch', patch!);
    const map = readFileSync(`${patch!}.map.json`, 'utf8').trimEnd().split('\n');
    expect(map.map((line) => JSON.parse(line) as Range)).toEqual(ranges);
    const [bytes, parts] = [readFileSync(before!), readFileSync(patch!)];
    for (const { start, length } of ranges) bytes.set(parts.subarray(start, start + length), start);
    writeFileSync(before!, bytes);
    expect(await fileHash(before!)).toBe(await fileHash(after!));
  });
});
