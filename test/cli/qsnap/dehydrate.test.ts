/** An image without guest data says of itself what the image says that it was made from. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { memoryDirectory, temporaryDirectory } from '../../support/directories.js';
import { copyFixture, fixtureNames, loadFixture } from '../../support/fixture.js';
import { oneIn } from '../../support/left-out.js';
import { imageOf, parsed, qsnap } from './harness.js';
import { compared } from '../../support/dehydrated.js';

const REFUSED = new Set([
  'qcow-version-1',
  'feature-incompatible-named',
  'feature-incompatible-unknown',
]);
const FIXTURES = fixtureNames().filter((name) => !REFUSED.has(name));

test.each(oneIn(2, FIXTURES))('%s: check, usage, tree and diff say the same', async (name) => {
  const directory = memoryDirectory();
  const image = copyFixture(name, directory);
  const before = readFileSync(image);
  const out = `${directory}/out.qcow2`;
  const { code, stdout } = await qsnap(['dehydrate', '--json', image, '-o', out]);
  expect(code).toBe(0);
  expect(parsed('dehydrate', stdout)).toMatchObject({ 'file-size': before.length });
  expect(readFileSync(image).equals(before)).toBe(true);
  const { theirs, ours } = await compared(image, out);
  expect(ours).toEqual(theirs);

  const kept = `${directory}/kept.qcow2`;
  expect((await qsnap(['dehydrate', '-q', '--keep-names', image, '-o', kept])).code).toBe(0);
  const withNames = await compared(image, kept, 'with their names');
  expect(withNames.ours).toEqual(withNames.theirs);

  const again = `${directory}/again.qcow2`;
  expect((await qsnap(['dehydrate', '-q', out, '-o', again])).code).toBe(0);
  expect(readFileSync(again).equals(readFileSync(out))).toBe(true);
});

test.each([...REFUSED])('%s is refused by a code, and nothing is left', async (name) => {
  const out = `${temporaryDirectory()}/out.qcow2`;
  const { code, stdout } = await qsnap(['dehydrate', '--json', imageOf(name), '-o', out]);
  expect(code).toBe(1);
  expect(parsed('dehydrate', stdout)).toMatchObject({ error: { kind: 'image' } });
  expect(existsSync(out)).toBe(false);
});

test('what was done is told', async () => {
  const image = imageOf('five-snapshots');
  const out = `${temporaryDirectory()}/out.qcow2`;
  const { code, stdout, stderr } = await qsnap(['dehydrate', image, '-o', out]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^Wrote .* of metadata of .* to .*\n {2}left out: .* of guest data/);
  expect(stdout).toMatch(/^ {2}replaced: 5 names$/m);
  const filled = `${temporaryDirectory()}/filled.qcow2`;
  const again = await qsnap(['rehydrate', out, '-o', filled]);
  expect(again).toMatchObject({ code: 0, stderr: '' });
  expect(again.stdout).toMatch(/^Wrote .* and a pattern to .* of guest data/);
  const { theirs, ours } = await compared(out, filled, 'with their names');
  expect(ours).toEqual(theirs);
});

test('a LUKS header is left out, and that is said', async () => {
  const out = `${temporaryDirectory()}/out.qcow2`;
  const { code, stderr } = await qsnap(['dehydrate', imageOf('luks'), '-o', out]);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^warning: .*: the LUKS header is left out, since it holds keys: .*$/m);
  expect(readFileSync(out).includes(Buffer.from('LUKS\xba\xbe', 'latin1'))).toBe(false);
});

test('a file that is there is not replaced without --force, and the image never', async () => {
  const image = imageOf('five-snapshots');
  const out = `${temporaryDirectory()}/out.qcow2`;
  writeFileSync(out, 'mine');
  for (const command of ['dehydrate', 'rehydrate']) {
    const refused = await qsnap([command, '--json', image, '-o', out]);
    expect(parsed('dehydrate', refused.stdout)).toMatchObject({ error: { code: 'OUTPUT_EXISTS' } });
    const itself = await qsnap([command, '--json', '--force', image, '-o', image]);
    const error = { code: 'OUTPUT_IS_INPUT' };
    expect(parsed('dehydrate', itself.stdout)).toMatchObject({ error });
  }
  expect(readFileSync(out, 'utf8')).toBe('mine');
  expect((await qsnap(['dehydrate', '--force', image, '-o', out])).code).toBe(0);
  expect(readFileSync(image).equals(loadFixture('five-snapshots'))).toBe(true);
});

test('--evidence records what was read', async () => {
  const image = imageOf('five-snapshots');
  const directory = temporaryDirectory();
  const argv = ['-o', `${directory}/out.qcow2`, '--evidence', `${directory}/record.json`];
  expect((await qsnap(['dehydrate', image, ...argv])).code).toBe(0);
  const record = readFileSync(`${directory}/record.json`, 'utf8');
  expect(parsed('evidence', record)).toMatchObject({ sources: [{ 'is-unchanged': true }] });
});
