/** `--evidence FILE`: what was read, and that it is as it was. */
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { copyFixture, loadFixture } from '../../support/fixture.js';
import { rangeServer } from '../../support/range-server.js';
import { NOW, parsed, qsnap } from './harness.js';

const sha256 = (bytes: Uint8Array | string): string =>
  createHash('sha256').update(bytes).digest('hex');

interface State {
  readonly size?: number;
  readonly modified?: string;
  readonly sha256?: string;
  readonly problem?: string;
}

interface Evidence {
  readonly arguments: readonly string[];
  readonly sources: readonly {
    readonly filename: string;
    readonly path: string;
    readonly before: State;
    readonly after: State;
    readonly 'is-unchanged'?: boolean;
  }[];
  readonly 'exit-code': number;
  readonly sha256: string;
}

function recordIn(file: string): Evidence {
  return parsed('evidence', readFileSync(file, 'utf8')) as Evidence;
}

test('a record has the command, the image before and after, and what was printed', async () => {
  const folder = temporaryDirectory();
  const image = copyFixture('five-snapshots', folder);
  const link = join(folder, 'link.qcow2');
  symlinkSync(image, link);
  const file = join(folder, 'record.json');
  const argv = ['list', link, '--evidence', file];
  const plain = await qsnap(['list', link]);
  expect(await qsnap(argv)).toEqual(plain);
  const record = recordIn(file);
  const bytes = readFileSync(image);
  const state = {
    size: bytes.length,
    modified: expect.stringMatching(/^20\d\d-.*Z$/) as unknown,
    sha256: sha256(bytes),
  };
  expect(record).toMatchObject({
    arguments: argv,
    directory: process.cwd(),
    started: NOW.toISOString(),
    sources: [{ filename: link, path: image, before: state, after: state, 'is-unchanged': true }],
    'exit-code': 0,
    stdout: { bytes: Buffer.byteLength(plain.stdout), sha256: sha256(plain.stdout) },
    stderr: { bytes: 0, sha256: sha256('') },
  });
  const { sha256: digest, ...rest } = record;
  expect(digest).toBe(sha256(JSON.stringify(rest)));
  expect(new Date(record.sources[0]!.before.modified!).getTime()).toBe(
    Math.floor(statSync(image).mtimeMs),
  );
});

test('all images of a call are in it, and one that is not there says why', async () => {
  const folder = temporaryDirectory();
  const images = ['five-snapshots', 'dirty'].map((name) => copyFixture(name, folder));
  const file = join(folder, 'record.json');
  const missing = join(folder, 'none.qcow2');
  const { code } = await qsnap(['check', ...images, missing, `--evidence=${file}`]);
  expect(code).toBe(1);
  const { sources, 'exit-code': told } = recordIn(file);
  expect(told).toBe(1);
  expect(sources.map(({ filename }) => filename)).toEqual([...images, missing]);
  expect(sources[2]!.before.problem).toContain('ENOENT');
  expect(sources[2]).not.toHaveProperty('is-unchanged');
});

test('an image that another program changes meanwhile is told', async () => {
  const folder = temporaryDirectory();
  const image = copyFixture('five-snapshots', folder);
  const file = join(folder, 'record.json');
  const streams = {
    onPrinted: () => {
      appendFileSync(image, 'x');
    },
  };
  const { code, stderr } = await qsnap(['info', image, '--evidence', file], streams);
  expect(code).toBe(1);
  expect(stderr).toBe('qsnap: what was read was changed by another program meanwhile\n');
  expect(recordIn(file).sources[0]!['is-unchanged']).toBe(false);
});

test('a record takes the place of no file, and a command that is not run leaves none', async () => {
  const folder = temporaryDirectory();
  const image = copyFixture('five-snapshots', folder);
  const there = join(folder, 'there.json');
  writeFileSync(there, 'mine');
  const refused = await qsnap(['info', image, '--evidence', there]);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('there.json');
  expect(readFileSync(there, 'utf8')).toBe('mine');
  const onto = await qsnap(['info', image, '--evidence', image]);
  expect(onto.code).toBe(1);
  expect(Buffer.compare(readFileSync(image), loadFixture('five-snapshots'))).toBe(0);
  const file = join(folder, 'record.json');
  expect((await qsnap(['delete', image, 'one', '--evidence', file])).stderr).toContain(
    'unknown option',
  );
  expect(existsSync(file)).toBe(false);
});

test('what is on a server is named, and not downloaded', async () => {
  const server = await rangeServer({ bytes: loadFixture('five-snapshots') });
  const file = join(temporaryDirectory(), 'record.json');
  const { code } = await qsnap(['list', server.url, '--evidence', file]);
  await server.close();
  expect(code).toBe(0);
  expect(recordIn(file).sources).toEqual([
    { filename: server.url, path: server.url, before: {}, after: {} },
  ]);
  expect(server.ranges.length).toBeLessThan(30);
});
