/** Commands that read, on images of which not all can be read. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { putU64 } from '../../support/image-builder-layout.js';
import { layoutOf } from '../../support/image-builder.js';
import { temporaryDirectory } from '../../support/directories.js';
import { imageOf, parsed, qsnap, shown } from './harness.js';

function damaged(change: (bytes: Uint8Array) => Uint8Array, fixture = 'five-snapshots'): string {
  const image = imageOf(fixture);
  writeFileSync(image, change(new Uint8Array(readFileSync(image))));
  return image;
}

/** The table is copied to the end of the file, which then loses the last letter of the last name. */
const cut = (): string =>
  damaged((bytes) => {
    const { snapshotTableAt, clusterBytes } = layoutOf(bytes);
    const tableAt = Math.ceil(bytes.length / clusterBytes) * clusterBytes;
    const longer = new Uint8Array(tableAt + TABLE_BYTES - 1);
    longer.set(bytes);
    longer.set(bytes.subarray(snapshotTableAt, snapshotTableAt + TABLE_BYTES - 1), tableAt);
    putU64(longer, 64, BigInt(tableAt));
    return longer;
  });
/** Of the fixture, without the padding of the last entry. */
const TABLE_BYTES = 434;
const WARNING =
  /^warning: .*: snapshot table entry 4 of 5 reaches 1 byte past the end of the file: 1 snapshot can't be read\n/;

describe('a copy that lost the end of its last name', () => {
  test('list and info print what there is, and end with 1', async () => {
    const image = cut();
    const listed = await qsnap(['list', image]);
    expect(listed.code).toBe(1);
    expect(listed.stderr).toMatch(WARNING);
    expect(listed.stdout.match(/2023-11-1\d/g)).toHaveLength(4);
    expect(listed.stdout).not.toContain('1970');
    const info = await qsnap(['info', image]);
    expect([info.code, info.stdout]).toEqual([
      1,
      expect.stringMatching(/snapshots +4 of 5 can be/),
    ]);
    for (const command of ['list', 'info'] as const) {
      const { images } = parsed(command, (await qsnap(['--json', command, image])).stdout) as {
        images: { snapshots: unknown[]; unread: object[] }[];
      };
      expect(images[0]!.snapshots).toHaveLength(4);
      expect(images[0]!.unread).toMatchObject([{ structure: 'snapshot table', snapshot: 4 }]);
    }
  });

  test('what is whole is shown, mapped, compared and exported, with 0', async () => {
    const image = cut();
    const out = join(temporaryDirectory(), 'out.raw');
    const manifest = `${out}.json`;
    for (const argv of [
      ['show', image, '#3'],
      ['map', image],
      ['map', image, 'id:2'],
      ['compare', image, '-s', '#0', '-w', 'id:1'],
      ['export', image, '-o', out, '--manifest', manifest],
    ]) {
      const { code, stderr } = await qsnap(argv);
      expect([argv[0], code, stderr]).toEqual([argv[0], 0, expect.stringMatching(WARNING)]);
    }
    expect(parsed('manifest', readFileSync(manifest, 'utf8'))).toHaveProperty('unread');
    parsed('show', (await qsnap(['--json', 'show', image, '#3'])).stdout);
    parsed('map', (await qsnap(['--json', 'map', image])).stdout);
    parsed('compare', (await qsnap(['--json', 'compare', image, '-w', '#0'])).stdout);
    expect((await qsnap(['-q', 'map', image])).stderr).toBe('');
  });

  test('what is lost is refused with the reason, and so is every edit', async () => {
    const image = cut();
    const before = readFileSync(image);
    const byPosition = await qsnap(['show', image, '#4']);
    expect(byPosition.code).toBe(1);
    expect(byPosition.stderr).toContain('qsnap: ');
    expect(byPosition.stderr.split('\n').at(-3)).toContain('snapshot table entry 4 of 5 reaches');
    const byName = await qsnap(['map', image, 'release candidate']);
    expect(byName.code).toBe(1);
    expect(byName.stderr).toContain('hint: snapshot table entry 4 of 5 reaches');
    for (const argv of [
      ['create', image, 'n'],
      ['rename', image, '#0', 'n'],
      ['delete', image, '#0'],
    ]) {
      expect((await qsnap(argv)).code).toBe(1);
    }
    expect(readFileSync(image).equals(before)).toBe(true);
  });
});

test('a snapshot without a possible L1 table is listed, and never read as zeros', async () => {
  const image = damaged((bytes) => {
    putU64(bytes, layoutOf(bytes).snapshotTableAt, 0x200n);
    return bytes;
  });
  const listed = await qsnap(['list', image]);
  expect([listed.code, listed.stdout.match(/2023-11-1\d/g)]).toEqual([1, expect.any(Array)]);
  expect(listed.stdout).not.toContain('*  1');
  const out = join(temporaryDirectory(), 'out.raw');
  for (const argv of [
    ['show', image, '#0'],
    ['map', image, '#0'],
    ['export', image, '#0', '-o', out],
  ]) {
    const { code, stderr } = await qsnap(argv);
    expect([argv[0], code]).toEqual([argv[0], 1]);
    expect(stderr).toContain('its L1 table lies at 0x200, where none can be');
  }
  expect((await qsnap(['compare', image, '-w', '#0'])).code).toBe(2);
  expect((await qsnap(['map', image])).code).toBe(0);
});

test('a junk table: the header and the active disk are there', async () => {
  const image = damaged((bytes) => bytes.fill(0x41, layoutOf(bytes).snapshotTableAt));
  expect(await qsnap(['-q', 'list', image])).toMatchObject({ code: 1, stdout: '' });
  expect((await qsnap(['list', image])).stdout).toBe('No snapshots can be read.\n');
  expect((await qsnap(['info', image])).stdout).toMatch(/snapshots +0 of 5 can be read/);
  expect((await qsnap(['map', image])).code).toBe(0);
});

test('a refcount table at 0 keeps nobody from reading', async () => {
  const image = damaged((bytes) => {
    putU64(bytes, 48, 0n);
    return bytes;
  });
  const info = await qsnap(['info', image]);
  expect([info.code, info.stdout]).toEqual([0, expect.stringMatching(/refcount table +can't be/)]);
  expect(info.stderr).toContain('the refcount table lies at 0x0, where none can be');
  const list = await qsnap(['list', image]);
  expect([list.code, list.stdout.match(/2023-11-1\d/g)!.length]).toEqual([0, 5]);
  expect((await qsnap(['map', image])).code).toBe(0);
  expect((await qsnap(['check', image])).code).toBe(2);
});

test('an active L1 where none can be: the snapshots can still be had', async () => {
  const image = damaged((bytes) => {
    putU64(bytes, 40, 0x30008n);
    return bytes;
  });
  const list = await qsnap(['list', image]);
  expect([list.code, list.stdout.match(/2023-11-1\d/g)!.length]).toEqual([0, 5]);
  expect((await qsnap(['map', image, '#1'])).code).toBe(0);
  expect((await qsnap(['map', image])).code).toBe(1);
  expect(shown((await qsnap(['info', image])).stdout, image)).toMatch(/active L1 table +can't be/);
});
