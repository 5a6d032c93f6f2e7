import { statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { expectSound, imageOf, parsed, qsnap, shown } from './harness.js';

interface TrimJson {
  readonly 'file-size-before': number;
  readonly 'file-size': number;
  readonly 'tail-bytes': number;
  readonly 'shortest-file-size': number;
  readonly 'moved-bytes': number;
  readonly steps: number;
}

/** An image with free clusters. */
async function imageWithRoom(): Promise<string> {
  const image = imageOf('five-snapshots');
  expect((await qsnap(['delete', '-q', image, 'id:2', 'id:3', 'id:4'])).code).toBe(0);
  return image;
}

describe('trim', () => {
  test('gives free clusters back and says so', async () => {
    const image = await imageWithRoom();
    const { code, stdout, stderr } = await qsnap(['trim', image]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(shown(stdout, image)).toMatch(/^Trimmed five-snapshots\.qcow2: the file is .* long/);
    await expectSound(image);
  });

  test('--relocate makes the file short; once more there is nothing to do', async () => {
    const image = await imageWithRoom();
    const before = statSync(image).size;
    const planned = await qsnap(['trim', '--dry-run', '--json', image]);
    const told = parsed('trim', planned.stdout) as TrimJson;
    expect(statSync(image).size).toBe(before);
    const { code, stdout } = await qsnap(['trim', '--relocate', '--verify', '--json', image]);
    expect(code).toBe(0);
    const done = parsed('trim', stdout) as TrimJson;
    expect(done['file-size']).toBe(statSync(image).size);
    expect(done['file-size']).toBeLessThan(before);
    expect(done['file-size']).toBeGreaterThanOrEqual(told['shortest-file-size']);
    expect(done['moved-bytes']).toBeGreaterThan(0);
    const again = await qsnap(['trim', '--relocate', image]);
    expect(again.stdout).toMatch(/: the file is .* MiB long as before, and takes .* as before\.\n/);
    await expectSound(image);
  });

  test('says how many steps it took, and that all was verified', async () => {
    const image = await imageWithRoom();
    const { stdout } = await qsnap(['trim', '--relocate', '--verify', image]);
    expect(stdout).toMatch(/ {2}moved .* to the front in \d+ steps?\n(.*\n)?Verified: /);
    await expectSound(image);
  });

  test('a dry run tells what --relocate could do', async () => {
    const image = await imageWithRoom();
    const { code, stdout } = await qsnap(['trim', '-n', image]);
    expect(code).toBe(0);
    expect(stdout).toContain('With --relocate it could come down to about');
    await expectSound(image);
  });

  test('leaks stay, and it is said what frees them', async () => {
    const image = imageOf('refcount-leaks');
    const { code, stdout } = await qsnap(['trim', image]);
    expect(code).toBe(0);
    expect(stdout).toContain('leaked cluster');
    expect((await qsnap(['check', image])).code).toBe(3);
  });

  test('leaks behind the end of the file make no number negative', async () => {
    const image = imageOf('refcount-leaks');
    const { code, stdout } = await qsnap(['trim', '-n', '--json', image]);
    expect(code).toBe(0);
    parsed('trim', stdout);
  });

  test('a dry run of --relocate is refused where the trim is', async () => {
    const image = imageOf('luks');
    const { code, stderr } = await qsnap(['trim', '-n', '--relocate', image]);
    expect(code).toBe(1);
    expect(stderr).toContain('are encrypted by their place');
    const plain = await qsnap(['trim', '-n', image]);
    expect(plain.code).toBe(0);
    expect(plain.stdout).not.toContain('--relocate');
  });

  test.each(['luks', 'corrupt', 'refcount-too-low'])('%s is refused as it is', async (fixture) => {
    const image = imageOf(fixture);
    const { code, stdout, stderr } = await qsnap(['trim', '--relocate', '--json', image]);
    expect(code).toBe(1);
    parsed('trim', stdout);
    expect(stderr).toContain('The image is unchanged.');
  });
});
