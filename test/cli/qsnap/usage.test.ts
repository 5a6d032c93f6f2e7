import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { plainFixtures } from '../../support/plain-owners.js';
import { expectSound, imageOf, parsed, qsnap } from './harness.js';

interface FreedJson {
  readonly 'freed-bytes': number;
  readonly 'guest-data-bytes': number;
  readonly 'vm-state-bytes': number;
  readonly 'table-bytes': number;
}
interface UsageJson {
  readonly images: readonly {
    readonly snapshots: readonly { readonly id: string; readonly 'if-deleted': FreedJson }[];
    readonly totals: Readonly<Record<string, number>>;
    readonly 'if-deleted'?: FreedJson;
  }[];
}

/** Images with clusters in use that count as free. */
const UNCOUNTED = new Set(['lazy-refcounts-dirty', 'refcount-zero']);

/** Images with table entries that can't be right: no sum would be. */
const DAMAGED = new Set(['l2-past-end', 'l2-unaligned']);
const measurable = plainFixtures().filter((name) => !DAMAGED.has(name));

async function usageOf(args: readonly string[]): Promise<UsageJson['images'][number]> {
  const { code, stdout } = await qsnap(['usage', '--json', ...args]);
  expect(code).toBe(0);
  return (parsed('usage', stdout) as UsageJson).images[0]!;
}

test.each([...DAMAGED])('%s is told as damaged', async (name) => {
  for (const command of ['usage', 'tree']) {
    const { code, stdout, stderr } = await qsnap([command, imageOf(name)]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('the image is damaged');
  }
});

describe('usage', () => {
  test.each(measurable)('%s: has the shape of its schema', async (name) => {
    const { totals, snapshots } = await usageOf([imageOf(name)]);
    expect(snapshots.length).toBeGreaterThan(0);
    expect(totals['file-bytes']).toBeGreaterThan(0);
    expect(totals['uncounted-bytes']! > 0).toBe(UNCOUNTED.has(name));
  });

  test('--if-deleted: a set, by commas or by the option again', async () => {
    const image = imageOf('five-snapshots');
    const alone = await usageOf([image]);
    const both = await usageOf(['--if-deleted', 'id:2,id:3', image]);
    const again = await usageOf(['--if-deleted', 'id:2', '--if-deleted', 'id:3', image]);
    expect(again['if-deleted']).toEqual(both['if-deleted']);
    const sum = alone.snapshots
      .filter(({ id }) => id === '2' || id === '3')
      .reduce((so, one) => so + one['if-deleted']['freed-bytes'], 0);
    // What only the two share goes with both.
    expect(both['if-deleted']!['freed-bytes']).toBeGreaterThan(sum);
    const before = alone.totals;
    expect((await qsnap(['delete', image, 'id:2', 'id:3'])).code).toBe(0);
    const after = (await usageOf([image])).totals;
    const used = (totals: Readonly<Record<string, number>>): number =>
      totals['data-bytes']! + totals['metadata-bytes']! + totals['leaked-bytes']!;
    expect(used(before) - used(after)).toBe(both['if-deleted']!['freed-bytes']);
    await expectSound(image);
  });

  test('a snapshot that there is not, among several', async () => {
    const image = imageOf('five-snapshots');
    const { code, stderr } = await qsnap(['usage', '--if-deleted', 'id:1,id:9', image]);
    expect(code).toBe(1);
    expect(stderr).toContain('no snapshot has');
  });

  test('--svg: a new file, replaced only with --force', async () => {
    const image = imageOf('names-odd');
    const picture = join(dirname(image), 'usage.svg');
    expect((await qsnap(['usage', '--svg', picture, image])).code).toBe(0);
    const svg = readFileSync(picture, 'utf8');
    expect(svg).toMatch(/^<svg [^]*<\/svg>\n$/);
    // Names may hold all that XML gives a meaning to.
    expect(svg.replaceAll(/<[a-z/][^<>]*>/g, '')).not.toMatch(/[<>\ufffe\uffff]/);
    const again = await qsnap(['usage', '--svg', picture, image]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('exists already');
    expect((await qsnap(['usage', '--svg', picture, '--force', image])).code).toBe(0);
  });

  test.each([
    ['an entry of the snapshot table', 0x3a0000],
    ['an entry of the active L1 table', 0x30000],
  ])('a damaged image tells no sums: %s', async (_, at) => {
    const image = imageOf('five-snapshots');
    const bytes = readFileSync(image);
    bytes.fill(0xff, at, at + 8);
    writeFileSync(image, bytes);
    for (const command of ['usage', 'tree'] as const) {
      const { code, stdout } = await qsnap([command, '--json', image]);
      expect(code).toBe(1);
      expect(parsed(command, stdout)).toHaveProperty('images[0].error');
    }
  });

  test('what is past the end of a cut file, and what L2 entries say that can not be', async () => {
    const image = imageOf('five-snapshots');
    const whole = readFileSync(image);
    writeFileSync(image, whole.subarray(0, Math.floor((whole.length * 7) / 8)));
    const cut = await qsnap(['usage', image]);
    expect(cut.code).toBe(1);
    expect(cut.stdout).toBe('');
    const l2At = Number(whole.readBigUInt64BE(0x30000) & 0x00ff_ffff_ffff_fe00n);
    whole.fill(0xff, l2At, l2At + 8);
    writeFileSync(image, whole);
    const { code, stderr } = await qsnap(['tree', image]);
    expect(code).toBe(1);
    expect(stderr).toContain('the image is damaged: the l2 entry at');
    expect(stderr).toContain('hint: `qsnap check` shows all that is wrong');
  });

  test('one picture for one image; a name with commas is one name', async () => {
    const image = imageOf('five-snapshots');
    const many = await qsnap(['usage', '--svg', 'x.svg', image, image]);
    expect(many.code).toBe(1);
    expect(many.stderr).toContain('--svg draws one image');
    await qsnap(['create', image, 'one, two']);
    const { code, stdout } = await qsnap(['usage', '--if-deleted', 'one, two', image]);
    expect(code).toBe(0);
    expect(stdout).toContain('Deleting snapshot 6 "one, two" would free');
    await expectSound(image);
  });
});

test('README.md shows what usage prints', async () => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  const image = imageOf('five-snapshots');
  await qsnap(['create', image, 'before upgrade']);
  await qsnap(['rename', image, 'id:1', 'golden']);
  await qsnap(['apply', image, 'golden']);
  const { stdout } = await qsnap(['usage', image]);
  // What a file takes is for the file system to say.
  const settled = (text: string): string => text.replaceAll(/, [^,]* taken on the host/g, '');
  expect(settled(readme)).toContain(settled(stdout));
  await expectSound(image);
});
