import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { expectSound, imageOf, parsed, qsnap } from './harness.js';

interface PruneJson {
  readonly images: readonly {
    readonly snapshots: readonly {
      readonly id: string;
      readonly deletes: boolean;
      readonly 'kept-by': readonly string[];
    }[];
    readonly declined?: true;
  }[];
}

async function idsLeft(image: string): Promise<string> {
  const { stdout } = await qsnap(['list', '--json', image]);
  const { images } = parsed('list', stdout) as { images: [{ snapshots: { id: string }[] }] };
  return images[0].snapshots.map(({ id }) => id).join();
}

// The snapshots of the fixture are a day apart.
describe.each([
  [['--keep-last', '2'], '4,5'],
  [['--keep-daily', '3'], '3,4,5'],
  [['--keep-weekly', '1'], '5'],
  [['--keep-monthly', '9'], '5'],
  [['--keep-last', '0', '--keep', 'clean*'], '1'],
  [['--keep-last', '0', '--name', '*migration'], '1,2,5'],
  [['--keep-last', '1', '--name', '*migration', '--name', 'clean ?nstall'], '2,4,5'],
  [['--older-than', '99y'], '1,2,3,4,5'],
  [['--older-than', '1h'], ''],
])('prune %j', (rules, left) => {
  test('deletes what no rule keeps, and what it says', async () => {
    const image = imageOf('five-snapshots');
    const planned = await qsnap(['prune', '--json', '--dry-run', ...rules, image]);
    expect(planned.code).toBe(0);
    const told = parsed('prune', planned.stdout) as PruneJson;
    const { code, stdout } = await qsnap(['prune', '--json', '--yes', ...rules, image]);
    expect(code).toBe(0);
    const { images } = parsed('prune', stdout) as PruneJson;
    expect(images[0]!.snapshots).toEqual(told.images[0]!.snapshots);
    const kept = images[0]!.snapshots.filter(({ deletes }) => !deletes);
    expect(kept.map(({ id }) => id).join()).toBe(left);
    expect(await idsLeft(image)).toBe(left);
    await expectSound(image);
  });
});

describe('asks a person', () => {
  test.each([
    ['y', 0, '4,5'],
    ['yes', 0, '4,5'],
    ['n', 1, '1,2,3,4,5'],
    ['', 1, '1,2,3,4,5'],
  ])('who answers %j', async (answer, expected, left) => {
    const image = imageOf('five-snapshots');
    const { code, stdout, stderr } = await qsnap(['prune', '--keep-last', '2', image], { answer });
    expect(code).toBe(expected);
    expect(stderr).toContain('Delete 3 snapshots from');
    expect(stderr).toContain('which frees 1.06 MiB? [y/N] ');
    expect(stdout).toContain('keep    5   release candidate');
    expect(await idsLeft(image)).toBe(left);
    await expectSound(image);
  });

  test.each([[[]], [['--json']]])('who is not there: nothing is done (%j)', async (options) => {
    const image = imageOf('five-snapshots');
    const before = readFileSync(image);
    const { code, stdout, stderr } = await qsnap(['prune', ...options, '--keep-last', '2', image]);
    expect(code).toBe(1);
    expect(stderr).toContain('hint: say so with --yes, or look first with --dry-run');
    if (stdout.startsWith('{')) {
      expect(parsed('prune', stdout)).toHaveProperty('images[0].declined');
    }
    expect(Buffer.compare(readFileSync(image), before)).toBe(0);
    await expectSound(image);
  });
});

test('several images: each by itself; what is wrong with one does not stop the others', async () => {
  const [one, other] = [imageOf('five-snapshots'), imageOf('five-snapshots')];
  const images = [one, 'none.qcow2', other];
  const { code, stdout } = await qsnap(['prune', '--json', '--keep-last', '1', '-y', ...images]);
  expect(code).toBe(1);
  expect(parsed('prune', stdout)).toHaveProperty('images[1].error');
  for (const image of [one, other]) {
    expect(await idsLeft(image)).toBe('5');
    await expectSound(image);
  }
});

test('nothing to delete, and no rule at all', async () => {
  const image = imageOf('five-snapshots');
  const { code, stdout } = await qsnap(['prune', '--keep-last', '9', image]);
  expect(code).toBe(0);
  expect(stdout).not.toContain('delete');
  const none = await qsnap(['prune', '-y', image]);
  expect(none.code).toBe(1);
  expect(none.stderr).toContain('no rule says which snapshots stay');
  // `N=0` in somebody's script.
  expect((await qsnap(['prune', '-y', '--keep-daily', '0', image])).code).toBe(1);
  expect((await qsnap(['prune', '-y', '--keep-last', 'x', image])).code).toBe(1);
  expect((await qsnap(['prune', '-y', '--older-than', '3', image])).code).toBe(1);
  expect((await qsnap(['prune', '-y', '--older-than', '0d', image])).code).toBe(1);
  expect(await idsLeft(image)).toBe('1,2,3,4,5');
  await expectSound(image);
});
