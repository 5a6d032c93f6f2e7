/** `dump`: for people and for programs, of whole images, of cut-off ones and of evidence on stdin. */
import { createHash } from 'node:crypto';
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { loadFixture } from '../../support/fixture.js';
import { imageOf, parsed, qsnap, shown } from './harness.js';

const BIN = fileURLToPath(new URL('../../../bin/qsnap.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../../../dist/cli/qsnap/qsnap.cjs', import.meta.url));

interface Dump {
  readonly fields: readonly {
    readonly part: string;
    readonly name: string;
    readonly offset: number;
    readonly hex: string;
    readonly value?: number | string;
    readonly expected?: string;
  }[];
}

test('the header, in words and with its bytes', async () => {
  const image = imageOf('five-snapshots');
  const { code, stdout, stderr } = await qsnap(['dump', image, 'header', 'features']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(shown(stdout, image)).toMatchSnapshot();
});

test.each([
  'five-snapshots',
  'everything',
  'luks',
  'bitmaps-in-use',
  'qcow-version-1',
  'l2-unaligned',
])('%s: all parts in the documented shape, and nothing is written', async (fixture) => {
  const image = imageOf(fixture);
  const before = { bytes: readFileSync(image), mtime: statSync(image).mtimeMs };
  const document = parsed('dump', (await qsnap(['dump', '--json', image, 'all'])).stdout) as Dump;
  for (const { offset, hex } of document.fields) {
    expect(before.bytes.toString('hex', offset, offset + hex.length / 2)).toBe(hex);
  }
  const lines = (await qsnap(['dump', '--jsonl', image, 'all'])).stdout.trimEnd().split('\n');
  expect(lines.map((line) => parsed('dump', line))).toEqual(document.fields);
  expect(readFileSync(image).equals(before.bytes)).toBe(true);
  expect(statSync(image).mtimeMs).toBe(before.mtime);
});

test('what can not be right is marked, and makes the exit code 1', async () => {
  const image = imageOf('five-snapshots');
  const bytes = readFileSync(image);
  bytes.writeUInt32BE(99, 20);
  writeFileSync(image, bytes);
  const { code, stdout, stderr } = await qsnap(['dump', image]);
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^ {2}0x14 +4 +cluster_bits +00 00 00 63 +99 {2}wrong: expected 9 to 21$/m,
  );
  expect(shown(stderr, image)).toMatch(
    /^warning: five-snapshots.qcow2: \d+ values? of what was printed can't be right$/m,
  );
});

test('the tables of one snapshot', async () => {
  const image = imageOf('five-snapshots');
  const { stdout } = await qsnap(['dump', image, 'l1', 'l2', '-s', 'id:2']);
  // By its id, as everywhere.
  expect(stdout).toMatch(/^L1 table of snapshot 2 "[^"]+"$/m);
  expect(stdout).not.toMatch(/active disk/);
  const none = await qsnap(['dump', image, 'l1', '-s', 'id:99']);
  expect(none).toMatchObject({ code: 1, stdout: '' });
});

test('an image inside a larger file', async () => {
  const image = imageOf('five-snapshots');
  const larger = join(temporaryDirectory(), 'dd.raw');
  writeFileSync(larger, Buffer.concat([Buffer.alloc(65_536, 7), readFileSync(image)]));
  for (const offset of ['64K', '0x10000', '65536']) {
    const inside = await qsnap(['dump', larger, 'all', '--offset', offset]);
    expect(inside).toEqual(await qsnap(['dump', image, 'all']));
  }
  expect((await qsnap(['dump', larger, '--offset', 'x'])).code).toBe(1);
});

describe('stdin', () => {
  beforeAll(() => {
    if (!existsSync(BUILT)) throw new Error('run `npm run build` first: these tests run dist/');
  });

  const bytes = loadFixture('five-snapshots');
  const fed = (input: Uint8Array, folder: string) =>
    spawnSync(process.execPath, [BIN, 'dump', '-', 'all'], {
      input,
      encoding: 'utf8',
      env: { ...process.env, TMPDIR: folder },
    });

  test('raw, packed, and packed in pieces, by a copy that is gone afterwards', async () => {
    const folder = mkdtempSync(join(temporaryDirectory(), 'tmp-'));
    const { stdout } = await qsnap(['dump', imageOf('five-snapshots'), 'all']);
    const half = bytes.length / 2;
    const pieces = [gzipSync(bytes.subarray(0, half)), gzipSync(bytes.subarray(half))];
    for (const input of [bytes, gzipSync(bytes), Buffer.concat(pieces)]) {
      expect(fed(input, folder)).toMatchObject({ status: 0, stdout, stderr: '' });
    }
    expect(readdirSync(folder)).toEqual([]);
  });

  test('packed data that is cut off is read as far as it goes', () => {
    const folder = mkdtempSync(join(temporaryDirectory(), 'tmp-'));
    const packed = gzipSync(bytes);
    const { status, stdout, stderr } = fed(packed.subarray(0, packed.length - 20), folder);
    expect(status).toBe(0);
    expect(stdout).toMatch(/nb_snapshots/);
    expect(stderr).toMatch(/ends before its end/);
    const broken = Buffer.from(packed).fill(0xff, 40, 80);
    expect(fed(broken, folder)).toMatchObject({ status: 1 });
    expect(readdirSync(folder)).toEqual([]);
  });

  // A record named a file called "-", which may even have been there.
  test('a record of it has the bytes that came', () => {
    const folder = temporaryDirectory();
    writeFileSync(join(folder, '-'), 'not what is read');
    for (const [i, input] of [bytes, gzipSync(bytes)].entries()) {
      const file = join(folder, `${i}.json`);
      const argv = [BIN, 'dump', '-', '--evidence', file];
      const { status } = spawnSync(process.execPath, argv, { input, cwd: folder });
      expect(status).toBe(0);
      const before = {
        size: input.length,
        sha256: createHash('sha256').update(input).digest('hex'),
      };
      expect(parsed('evidence', readFileSync(file, 'utf8'))).toMatchObject({
        sources: [{ filename: '-', path: '-', before, after: {} }],
      });
    }
  });

  test('the copy is gone after a signal', async () => {
    const folder = mkdtempSync(join(temporaryDirectory(), 'tmp-'));
    const env = { ...process.env, TMPDIR: folder };
    const child = spawn(process.execPath, [BIN, 'dump', '-'], { env });
    child.stdin.on('error', () => undefined);
    child.stdin.write(bytes.subarray(0, 65_536));
    await vi.waitFor(() => {
      const [copy] = readdirSync(folder);
      expect(statSync(join(folder, copy!, 'evidence')).size).toBeGreaterThan(0);
    }, 10_000);
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGTERM');
    await ended;
    expect(readdirSync(folder)).toEqual([]);
  });
});

test('clusters by their numbers: who has them, and their bytes', async () => {
  const image = imageOf('five-snapshots');
  const bytes = readFileSync(image);
  const { stdout } = await qsnap([
    'dump',
    '--json',
    '--every',
    image,
    'cluster',
    '0',
    'cluster',
    '3',
  ]);
  const { fields } = parsed('dump', stdout) as Dump;
  expect(new Set(fields.map(({ part }) => part))).toEqual(new Set(['cluster']));
  const data = fields.filter(({ name }) => name === 'data');
  const stored = Buffer.from(data.map(({ hex }) => hex).join(''), 'hex');
  const clusters = [bytes.subarray(0, 65_536), bytes.subarray(3 * 65_536, 4 * 65_536)];
  expect(stored.equals(Buffer.concat(clusters))).toBe(true);
  expect(fields.filter(({ name }) => name === 'main-header')).toHaveLength(1);
  expect(fields.filter(({ name }) => name === 'active-l1')).toHaveLength(1);
  // Lines that repeat are one.
  const text = await qsnap(['dump', image, 'cluster', '0']);
  expect(text.code).toBe(0);
  expect(text.stdout).toMatch(/51 46 49 fb 00 00 00 03 .* QFI/);
  expect(text.stdout.split('\n').length).toBeLessThan(60);
});

// It was a refcount of 0, with bytes that the file has not.
test('of a cluster whose refcount the file ends before it is not told', async () => {
  const image = imageOf('five-snapshots');
  truncateSync(image, 0x20003);
  const { code, stdout } = await qsnap(['dump', image, 'cluster', '1']);
  expect(code).toBe(1);
  expect(stdout).toMatch(/0x20002 +2 +refcount +past the end of the file, for 1 reference/);
});

test('a cluster behind the end of the file, and one of an image without a header', async () => {
  const image = imageOf('five-snapshots');
  const { code, stdout } = await qsnap(['dump', image, 'cluster', '100000']);
  expect(code).toBe(1);
  expect(stdout).toContain('the file ends at');
  const bytes = readFileSync(image);
  bytes.fill(0xff, 0, 8);
  writeFileSync(image, bytes);
  const lost = await qsnap(['dump', image, 'cluster', '3']);
  expect(lost.code).toBe(1);
  expect(lost.stdout).toContain('what refers to it is not known');
  for (const argv of [['cluster'], ['cluster', 'x'], ['clusters'], ['cluster', '1', '2']]) {
    const refused = await qsnap(['dump', image, ...argv]);
    expect(refused.code, argv.join(' ')).toBe(1);
    expect(refused.stdout).toBe('');
  }
});

test('what is stored nowhere has no place in the file', async () => {
  const { stdout } = await qsnap(['dump', imageOf('five-snapshots'), 'cluster', '999999']);
  expect(stdout).toMatch(/^ {2}- +- +refcount +0 \(it has no refcount block\), for 0 references$/m);
});
