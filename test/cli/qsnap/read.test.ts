/** What people read of images that are out of the ordinary, word for word. */
import { readFileSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { imageOf, parsed, qsnap, shown } from './harness.js';

describe('list', () => {
  test.each(['names-odd', 'vm-state', 'dates-extreme', 'resized-larger', 'ids-not-numeric'])(
    '%s',
    async (name) => {
      const image = imageOf(name);
      expect((await qsnap(['list', image])).stdout).toMatchSnapshot();
    },
  );

  test('an image without snapshots, and nothing of it with --quiet', async () => {
    const image = imageOf('no-snapshots');
    expect((await qsnap(['list', image])).stdout).toBe('No snapshots.\n');
    expect(await qsnap(['-q', 'list', image])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('neither the bytes nor the times of the file change', async () => {
    const image = imageOf('five-snapshots');
    const before = { bytes: readFileSync(image), times: statSync(image) };
    for (const command of ['list', 'info']) expect((await qsnap([command, image])).code).toBe(0);
    expect(readFileSync(image).equals(before.bytes)).toBe(true);
    expect(statSync(image).mtimeMs).toBe(before.times.mtimeMs);
    expect(statSync(image).ctimeMs).toBe(before.times.ctimeMs);
  });
});

describe('info', () => {
  test.each([
    'backing-json-name',
    'bitmaps-in-use',
    'corrupt',
    'data-file-raw',
    'everything',
    'extension-unknown',
    'feature-autoclear-unknown',
    'lazy-refcounts-dirty',
    'luks',
    'version-2',
  ])('%s', async (name) => {
    const image = imageOf(name);
    const { stdout } = await qsnap(['info', image]);
    // What the file takes depends on the file system.
    expect(shown(stdout, image).replace(/\n +taken on the host .*/, '')).toMatchSnapshot();
  });

  test('of several images, with an empty line between', async () => {
    const { stdout } = await qsnap(['info', imageOf('version-2'), imageOf('version-3')]);
    expect(stdout.match(/(^|\n\n)\S+version-[23].qcow2\n {2}format /g)).toHaveLength(2);
  });
});

describe('show', () => {
  test.each([
    ['names-odd', 'id:6'],
    ['vm-state-5gib', 'id:1'],
    ['extra-data', 'id:1'],
    ['extra-data', 'id:5'],
    ['extra-data-v2', 'id:1'],
  ])('%s %s', async (name, selector) => {
    const image = imageOf(name);
    const { stdout, code } = await qsnap(['show', image, selector]);
    expect(code).toBe(0);
    expect(shown(stdout, image)).toMatchSnapshot();
  });

  test('a name that is not UTF-8 is there in hex', async () => {
    const { stdout } = await qsnap(['show', '--json', imageOf('names-odd'), 'id:6']);
    const { snapshot } = parsed('show', stdout) as { snapshot: Record<string, unknown> };
    expect(snapshot['name-bytes']).toBe('62616420fffe206279746573');
    expect(snapshot['name']).toBe('bad \ufffd\ufffd bytes');
  });
});
