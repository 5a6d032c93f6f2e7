/** Files that get another name between their opening and a later look. */
import { chmodSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
import * as node from '../../../src/node/index.js';
import { imageOf, qsnap } from './harness.js';

vi.mock('../../../src/node/index.js', { spy: true });
const actual = await vi.importActual<typeof node>('../../../src/node/index.js');

/** The next image that is opened gets this done to its name then. */
function afterOpening(work: (file: string) => void): void {
  vi.mocked(node.openFile).mockImplementationOnce(async (file, options) => {
    const source = await actual.openFile(file, options);
    work(file);
    return source;
  });
}

// The copy of a file that only its owner may read got the permissions of another one.
test.each([
  ['export', ['export']],
  ['rescue', ['rescue']],
])('%s: the output has the permissions of the image that was read', async (_, words) => {
  const image = imageOf('five-snapshots');
  const output = path.join(path.dirname(image), 'out');
  chmodSync(image, 0o600);
  afterOpening((file) => {
    renameSync(file, `${file}.old`);
    writeFileSync(file, 'another', { mode: 0o666 });
    chmodSync(file, 0o666);
  });
  const { code, stderr } = await qsnap([...words, image, '-o', output]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(statSync(output).mode & 0o777).toBe(0o600);
});

test('export --force does not replace the image that it reads, under whatever name', async () => {
  const image = imageOf('five-snapshots');
  const bytes = readFileSync(image);
  const output = path.join(path.dirname(image), 'out.raw');
  afterOpening((file) => {
    renameSync(file, output);
    writeFileSync(file, 'another');
  });
  const argv = ['export', '-U', '--force', image, '-o', output];
  const { code, stderr } = await qsnap(argv);
  expect(code).toBe(1);
  expect(stderr).toContain("is read itself: it can't be the output too");
  expect(readFileSync(output).equals(bytes)).toBe(true);
});
