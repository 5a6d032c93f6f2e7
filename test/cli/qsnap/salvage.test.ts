/** Exports of images that are damaged or cut off. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { layoutOf } from '../../support/image-builder.js';
import { putU64 } from '../../support/image-builder-layout.js';
import { describeWithQemu, qemuImg } from '../../support/qemu.js';
import { imageOf, parsed, qsnap } from './harness.js';

const out = (): string => join(temporaryDirectory(), 'out.raw');

/** The fixture without the end of its file, from the middle of a data cluster on. */
function cut(): { image: string; whole: string } {
  const [image, whole] = [imageOf('no-snapshots'), imageOf('no-snapshots')];
  const bytes = readFileSync(image);
  const { l1At, clusterBytes } = layoutOf(new Uint8Array(bytes));
  const l2At = Number(bytes.readBigUInt64BE(l1At) & 0x00ff_ffff_ffff_fe00n);
  const offsets = Array.from({ length: clusterBytes / 8 }, (_, i) => {
    return Number(bytes.readBigUInt64BE(l2At + i * 8) & 0x00ff_ffff_ffff_fe00n);
  });
  const last = Math.max(...offsets);
  writeFileSync(image, bytes.subarray(0, last + 1000));
  return { image, whole };
}

describe('a file that ends inside a cluster', () => {
  test('is not exported as zeros: the error says where and how much', async () => {
    const { image } = cut();
    const target = out();
    const { code, stderr, stdout } = await qsnap(['--json', 'export', image, '-o', target]);
    expect(code).toBe(1);
    expect(parsed('export', stdout)).toMatchObject({ error: { code: 'IMAGE_TRUNCATED' } });
    expect(stderr).toMatch(/ends inside the data cluster at 0x\w+: guest bytes 0x\w+ to 0x\w+ are/);
    expect(stderr).toMatch(/hint: \d+ bytes of the disk, from 0x\w+ on, can't be read; --salvage/);
    expect(existsSync(target)).toBe(false);
  });

  test('is salvaged, and each stretch is told', async () => {
    const { image, whole } = cut();
    const [target, sound] = [out(), out()];
    const [map, manifest] = [`${target}.map`, `${target}.json`];
    const options = ['--salvage-map', map, '--manifest', manifest];
    const done = await qsnap(['export', '--salvage', ...options, image, '-o', target]);
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(/could not be read and are zeros, .*1000 bytes\) are doubtful\n/);
    expect(done.stderr).toMatch(/: 0x\w+, \d+ bytes: zero-filled: past the end of the file\n/);
    expect((await qsnap(['export', whole, '-o', sound])).code).toBe(0);
    const [salvaged, expected] = [readFileSync(target), readFileSync(sound)];
    const lines = readFileSync(map, 'utf8').trimEnd().split('\n');
    const ranges = lines.map((line) => parsed('salvage-map', line)) as {
      start: number;
      length: number;
      state: string;
    }[];
    let end = 0;
    for (const { start, length, state } of ranges) {
      expect(start).toBe(end);
      end = start + length;
      const bytes = expected.subarray(start, end);
      if (state === 'zero-filled') bytes.fill(0);
    }
    expect(end).toBe(expected.length);
    expect(salvaged.equals(expected)).toBe(true);
    expect(ranges.map(({ state }) => state)).toContain('doubtful');
    const { salvage } = parsed('manifest', readFileSync(manifest, 'utf8')) as {
      salvage: { ranges: unknown[] };
    };
    expect(salvage.ranges).toEqual(ranges.filter(({ state }) => state !== 'good'));
  });

  test('is not compared', async () => {
    const { image, whole } = cut();
    const { code, stderr } = await qsnap(['compare', image, whole]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('ends inside the data cluster')]);
  });
});

test('a sound image is salvaged as it is exported, and ends with 0', async () => {
  const image = imageOf('five-snapshots');
  const [plain, salvaged] = [out(), out()];
  expect((await qsnap(['export', image, '#1', '-o', plain])).code).toBe(0);
  const done = await qsnap(['export', '--salvage', image, '#1', '-o', salvaged]);
  expect([done.code, done.stderr]).toEqual([0, '']);
  expect(readFileSync(plain).equals(readFileSync(salvaged))).toBe(true);
});

test('a lost L1 table is zeros in all, and said so', async () => {
  const image = imageOf('no-snapshots');
  const bytes = new Uint8Array(readFileSync(image));
  putU64(bytes, 40, BigInt(Math.ceil(bytes.length / 65536 + 16) * 65536));
  writeFileSync(image, bytes);
  const mapped = await qsnap(['map', image]);
  expect(mapped.code).toBe(1);
  expect(mapped.stdout).toMatch(/^0x0 .* unreadable +- +\(the active L1 lies past the end of the/m);
  expect((await qsnap(['export', image, '-o', out()])).code).toBe(1);
  expect((await qsnap(['export', '--salvage', image, '-o', out()])).code).toBe(1);
});

test('--salvage-map is of a salvage', async () => {
  const { code, stderr } = await qsnap(['export', 'x', '-o', 'y', '--salvage-map', 'z']);
  expect([code, stderr]).toEqual([1, expect.stringContaining('--salvage-map is of what')]);
});

describeWithQemu('as qemu-img', () => {
  test('what it salvages, a salvage gives too', async () => {
    const image = imageOf('l2-unaligned');
    const [ours, theirs] = [out(), out()];
    expect((await qsnap(['export', '--salvage', image, '-o', ours])).code).toBe(1);
    await qemuImg(['convert', '--salvage', '-O', 'raw', image, theirs]);
    expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
  });
});
