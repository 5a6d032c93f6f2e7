import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { expectSound, imageOf, parsed, qsnap } from './harness.js';

const outIn = (): string => `${temporaryDirectory()}/out.qcow2`;

test('the new image is sound, has all disks, and stays as it is', async () => {
  const image = imageOf('five-snapshots');
  const before = readFileSync(image);
  const out = outIn();
  const { code, stdout, stderr } = await qsnap(['compact', image, '-o', out]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(
    /^Wrote 6 disks of .* to .*: .* became .*\.\n {2}all compared byte by byte/,
  );
  await expectSound(out);
  expect(readFileSync(image).equals(before)).toBe(true);
  const sides = [[], ['-s', 'id:1', '-w', 'id:1'], ['-s', 'id:5', '-w', 'id:5']];
  for (const side of sides) expect((await qsnap(['compare', image, out, ...side])).code).toBe(0);
  const again = outIn();
  expect((await qsnap(['compact', '-q', out, '-o', again])).stdout).toBe('');
  expect(readFileSync(again).equals(readFileSync(out))).toBe(true);
});

test('--json tells of each disk and VM state', async () => {
  const image = imageOf('vm-state');
  const { code, stdout } = await qsnap(['compact', '--json', image, '-o', outIn()]);
  expect(code).toBe(0);
  const { disks } = parsed('compact', stdout) as { disks: Record<string, unknown>[] };
  expect(disks.map(({ disk }) => disk)).toEqual(['active', 'snapshot', 'snapshot', 'snapshot']);
  expect(disks.filter((disk) => 'vm-state-size' in disk)).toHaveLength(2);
});

test('chosen snapshots, and another kind of image', async () => {
  const image = imageOf('five-snapshots');
  const out = outIn();
  const options = ['--cluster-size', '4k', '--refcount-bits', '8', '-c', 'zstd', '--drop-zeros'];
  const { code, stderr } = await qsnap([
    'compact',
    image,
    '-o',
    out,
    '--dedupe',
    '-s',
    'id:3',
    'clean install',
    ...options,
  ]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { stdout } = await qsnap(['list', '--json', out]);
  const { images } = parsed('list', stdout) as { images: { snapshots: { id: string }[] }[] };
  expect(images[0]!.snapshots.map(({ id }) => id)).toEqual(['1', '3']);
  await expectSound(out);
  const none = outIn();
  expect((await qsnap(['compact', image, '-o', none, '--no-snapshots'])).code).toBe(0);
  expect(parsed('list', (await qsnap(['list', '--json', none])).stdout)).toMatchObject({
    images: [{ snapshots: [] }],
  });
});

test('bitmaps are left out, and that is said', async () => {
  const { code, stderr } = await qsnap(['compact', imageOf('bitmaps'), '-o', outIn()]);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^warning: .*: \d+ persistent bitmaps? left out of the new image$/m);
});

test.each(['dirty', 'corrupt'])('an image that is marked %s: a warning', async (fixture) => {
  const { code, stderr } = await qsnap(['compact', imageOf(fixture), '-o', outIn()]);
  expect(code).toBe(0);
  expect(stderr).toMatch(new RegExp(`^warning: .* is marked ${fixture}, .*tells more$`, 'm'));
});

test.each([
  ['compact', imageOf('five-snapshots'), '-o', '-'],
  ['usage', imageOf('five-snapshots'), '--svg', '-'],
  ['diff', imageOf('five-snapshots'), 'id:1', '--patch', '-'],
  ['repair', imageOf('five-snapshots'), '--undo', '-'],
])('%s: a file that can not be a stream is refused', async (...argv) => {
  const { code, stderr } = await qsnap(argv);
  expect(code).toBe(argv[0] === 'diff' ? 2 : 1);
  expect(stderr).toContain('It can not go to stdout');
  expect(existsSync('-')).toBe(false);
});

test('LUKS takes the passphrase, and without it nothing is left', async () => {
  const image = imageOf('luks');
  const out = outIn();
  const refused = await qsnap(['compact', '--json', image, '-o', out]);
  expect(refused.code).toBe(1);
  expect(parsed('compact', refused.stdout)).toMatchObject({ error: { code: 'ENCRYPTED' } });
  expect(existsSync(out)).toBe(false);
  const key = `${temporaryDirectory()}/key`;
  writeFileSync(key, 'open sesame\n');
  const { code, stderr } = await qsnap(['compact', image, '-o', out, '--passphrase-file', key]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const compared = await qsnap(['compare', image, out, '--passphrase-file', key]);
  expect(compared.code, compared.stderr).toBe(0);
});

test.each([
  [['--refcount-bits', '5'], 'Write 1, 2, 4, 8, 16, 32 or 64.'],
  [['--cluster-size', '3k'], 'Write a power of two from 512 to 2M.'],
  [['-s', 'id:1', '--no-snapshots'], 'cannot be used with'],
  [['--compat', '0.10', '--refcount-bits', '8'], "can't have this refcount width"],
  [['--compat', '0.10', '--extended-l2', 'on'], "can't have extended L2 entries"],
  [['-s', 'nobody'], 'no snapshot'],
])('%j is refused', async (options, said) => {
  const out = outIn();
  const { code, stderr } = await qsnap([
    'compact',
    imageOf('five-snapshots'),
    '-o',
    out,
    ...options,
  ]);
  expect(code).toBe(1);
  expect(stderr).toContain(said);
  expect(existsSync(out)).toBe(false);
});
