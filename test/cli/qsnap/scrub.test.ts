import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  SECRET,
  scrubbedPlainly,
  unreferencedIn,
  withSecrets,
} from '../../support/unreferenced.js';
import { expectSound, imageOf, parsed, qsnap, shown } from './harness.js';

interface PartsJson {
  readonly 'free-bytes': number;
  readonly 'tail-bytes': number;
  readonly 'slack-bytes': number;
}
interface ScrubJson {
  readonly 'not-zero': PartsJson;
  readonly scrubbed: PartsJson;
  readonly unreferenced: PartsJson;
  readonly 'punched-bytes': number;
  readonly 'leaked-clusters': number;
  readonly refusal?: unknown;
}

/** An image without three of its snapshots, and with a secret wherever nothing refers to. */
async function imageWithSecrets(): Promise<{
  readonly image: string;
  readonly before: Uint8Array;
}> {
  const image = imageOf('five-snapshots');
  expect((await qsnap(['delete', '-q', image, 'id:2', 'id:3', 'id:4'])).code).toBe(0);
  const before = withSecrets(readFileSync(image));
  writeFileSync(image, before);
  return { image, before };
}

const same = (image: string, bytes: Uint8Array): boolean =>
  Buffer.compare(readFileSync(image), bytes) === 0;

describe('scrub', () => {
  test('leaves no secret, says where they were, and reads all back', async () => {
    const { image, before } = await imageWithSecrets();
    expect(readFileSync(image).includes(SECRET)).toBe(true);
    const { code, stdout, stderr } = await qsnap(['scrub', image]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [first, second, ...others] = shown(stdout, image).trimEnd().split('\n');
    expect(first).toMatch(
      /^Scrubbed five-snapshots\.qcow2: .* in free clusters, .* behind the last cluster in use, .* beside header and tables\.$/,
    );
    expect(second).toMatch(/^ {2}all .* that nothing refers to read back as zeros$/);
    expect(others).toEqual([]);
    expect(readFileSync(image).includes(SECRET)).toBe(false);
    expect(same(image, scrubbedPlainly(before))).toBe(true);
    await expectSound(image);
  });

  test('a dry run tells what the scrub does then, and changes nothing', async () => {
    const { image, before } = await imageWithSecrets();
    const planned = await qsnap(['scrub', '-n', '--json', image]);
    expect(planned.code).toBe(0);
    const told = parsed('scrub', planned.stdout) as ScrubJson;
    expect(same(image, before)).toBe(true);
    const { stdout } = await qsnap(['scrub', '--dry-run', image]);
    expect(stdout).toMatch(
      /: of .* that nothing refers to, .* are not zeros: .* in free clusters,/,
    );
    const done = await qsnap(['scrub', '--json', image]);
    expect(done.code).toBe(0);
    const { scrubbed, unreferenced } = parsed('scrub', done.stdout) as ScrubJson;
    expect(scrubbed).toEqual(told['not-zero']);
    expect(unreferenced).toEqual(told.unreferenced);
    const bytes = unreferencedIn(before).reduce((sum, { length }) => sum + length, 0);
    expect(Object.values(unreferenced).reduce((sum: number, one: number) => sum + one, 0)).toBe(
      bytes,
    );
    await expectSound(image);
  });

  test('once more there is nothing to do, and it says so', async () => {
    const { image } = await imageWithSecrets();
    await qsnap(['scrub', '-q', image]);
    const before = readFileSync(image);
    expect((await qsnap(['scrub', '-n', image])).stdout).toMatch(
      /zeros; there is nothing to scrub\.\n/,
    );
    const { stdout } = await qsnap(['scrub', image]);
    expect(stdout).toMatch(/: nothing to scrub\.\n {2}all .* read back as zeros\n$/);
    expect(same(image, before)).toBe(true);
    await expectSound(image);
  });

  test('--punch gives back what the host takes; the bytes are the same', async () => {
    const { image, before } = await imageWithSecrets();
    const { code, stdout } = await qsnap(['scrub', '--punch', '--verify', '--json', image]);
    expect(code).toBe(0);
    parsed('scrub', stdout);
    expect(same(image, scrubbedPlainly(before))).toBe(true);
    await expectSound(image);
  });

  test('--verify says that the image was checked', async () => {
    const { image } = await imageWithSecrets();
    const { stdout } = await qsnap(['scrub', '--verify', image]);
    expect(stdout).toContain(' read back as zeros, and a check finds nothing new\n');
    await expectSound(image);
  });

  test('leaks stay, it is said what frees them, and then they go', async () => {
    const image = imageOf('refcount-leaks');
    const { code, stdout } = await qsnap(['scrub', image]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/leaked clusters? stays? as found: .*`qsnap repair IMAGE leaks` first/);
    expect((await qsnap(['check', image])).code).toBe(3);
    expect((await qsnap(['repair', '-q', image, 'leaks'])).code).toBe(0);
    const again = await qsnap(['scrub', image]);
    expect(again.stdout).not.toContain('leaked');
    await expectSound(image);
  });

  test('a repair can not be undone afterwards, and that is found out before anything is written', async () => {
    const image = imageOf('refcount-too-low');
    const undo = `${image}.undo`;
    expect((await qsnap(['repair', '-q', '--undo', undo, image])).code).toBe(0);
    expect((await qsnap(['scrub', '-q', image])).code).toBe(0);
    const scrubbed = readFileSync(image);
    const { code, stderr } = await qsnap(['undo', undo, image]);
    expect(code).toBe(1);
    expect(stderr).toContain("so that can't be undone");
    expect(same(image, scrubbed)).toBe(true);
    await expectSound(image);
  });

  test('a dry run reads an image that another program may write to with -U, a scrub does not', async () => {
    const image = imageOf('five-snapshots');
    expect((await qsnap(['scrub', '-U', '-n', image])).code).toBe(0);
    const { code, stderr } = await qsnap(['scrub', '-U', image]);
    expect(code).toBe(1);
    expect(stderr).toContain('--force-share is for reading');
  });

  test('quiet is quiet', async () => {
    const { image } = await imageWithSecrets();
    expect(await qsnap(['scrub', '-q', image])).toEqual({ code: 0, stdout: '', stderr: '' });
    await expectSound(image);
  });

  test.each(['corrupt', 'dirty', 'data-file', 'refcount-too-low'])(
    '%s is refused as it is',
    async (fixture) => {
      const image = imageOf(fixture);
      const before = readFileSync(image);
      const { code, stdout, stderr } = await qsnap(['scrub', '--json', image]);
      expect(code).toBe(1);
      parsed('scrub', stdout);
      expect(stderr).toContain('The image is unchanged.');
      expect(same(image, before)).toBe(true);
    },
  );
});
