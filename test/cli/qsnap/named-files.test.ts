/** What a command writes never takes the place of a file that the image names. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { openImage } from '../../../src/image/open.js';
import { memoryDevice } from '../../../src/io/memory.js';
import { backingName, type Image } from '../../../src/image/image.js';
import { namedFiles } from '../../../src/cli/qsnap/named-files.js';
import { copyCompanions, loadFixture } from '../../support/fixture.js';
import { expectSound, imageOf, qsnap } from './harness.js';

/** An image with a backing file beside it. */
async function overlay(): Promise<{ readonly image: string; readonly backing: string }> {
  const image = imageOf('backing');
  copyCompanions('backing', path.dirname(image));
  const name = backingName(await openImage(memoryDevice(loadFixture('backing'))))!;
  return { image, backing: path.resolve(path.dirname(image), name) };
}

describe('--force does not replace the backing file', () => {
  test.each<readonly [string, (image: string, backing: string) => readonly string[]]>([
    ['compact', (image, backing) => ['compact', image, '-o', backing, '--force']],
    ['usage', (image, backing) => ['usage', image, '--svg', backing, '--force']],
    ['tree', (image, backing) => ['tree', image, '--svg', backing, '--force']],
    ['rescue', (image, backing) => ['rescue', image, '-o', backing, '--force']],
    ['export', (image, backing) => ['export', '--backing', image, '-o', backing, '--force']],
    [
      'diff',
      (image, backing) => [
        'diff',
        '--backing',
        image,
        'active',
        '#0',
        '--patch',
        backing,
        '--force',
      ],
    ],
  ])('%s', async (_, argv) => {
    const { image, backing } = await overlay();
    const before = readFileSync(backing);
    const { code, stderr } = await qsnap(argv(image, backing));
    expect(code).not.toBe(0);
    expect(stderr).toContain("can't be the output too");
    expect(readFileSync(backing).equals(before)).toBe(true);
    await expectSound(image);
  });
});

test('names with and without a protocol, and in JSON', () => {
  const named = (name: string): readonly string[] => {
    const image = { backingNameBytes: new TextEncoder().encode(name), extensions: [] };
    return namedFiles(image as unknown as Image, '/srv/images/disk.qcow2');
  };
  expect(named('base.raw')).toEqual(['/srv/images/base.raw']);
  expect(named('file:../base.raw')).toEqual(['/srv/base.raw']);
  expect(named('nbd://host/disk')).toEqual([]);
  expect(named('json:{"driver":"qcow2","file":{"driver":"file","filename":"/a.img"}}')).toEqual([
    '/a.img',
  ]);
  expect(named('json:{"file.filename":"b.img"}')).toEqual(['/srv/images/b.img']);
  expect(named('json:{')).toEqual([]);
});

test('an overlay of a snapshot does not lie on the image itself', async () => {
  const image = imageOf('five-snapshots');
  const patch = path.join(path.dirname(image), 'patch.qcow2');
  const argv = ['diff', '-q', image, 'id:1', 'id:3', '--patch', patch, '--backing-file', image];
  const { code, stderr } = await qsnap(argv);
  expect(code).toBe(2);
  expect(stderr).toContain('no overlay can lie on snapshot 1');
  await expectSound(image);
});
