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
import { copyCompanions, copyFixture, loadFixture } from '../../support/fixture.js';
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
  const record = recordIn(file);
  expect(record.sources[0]!['is-unchanged']).toBe(false);
  // It had 0, which the process did not end with.
  expect(record['exit-code']).toBe(1);
  const compared = join(folder, 'compared.json');
  const same = await qsnap(['compare', image, image, '--evidence', compared], streams);
  expect(same.code).toBe(2);
  expect(recordIn(compared)['exit-code']).toBe(2);
});

/** Each command that reads, with arguments that it is content with; `OUT` is a new file. */
const READING: readonly (readonly string[])[] = [
  ...['info', 'list', 'usage', 'tree', 'timeline', 'check', 'map', 'dump', 'hash'].map((name) => [
    name,
    'IMAGE',
  ]),
  ['audit', 'IMAGE', '--profile', 'golden-image'],
  ['show', 'IMAGE', 'running'],
  ['locate', 'IMAGE', '--guest', '0'],
  ['vmstate', 'IMAGE', 'running'],
  ['vmstate', 'IMAGE', 'running', 'info', '--json'],
  ['vmstate', 'IMAGE', 'running', 'extract', '-o', 'OUT'],
  ['vmstate', 'IMAGE', 'running', 'memory', '--at', '0', '--length', '16'],
  ['vmstate', 'IMAGE', 'running', 'memory', '-o', 'OUT'],
  ['vmstate', 'IMAGE', 'running', 'regs'],
  // Its machine has none.
  ['vmstate', 'IMAGE', 'running', 'screen', '--text'],
  ['compare', 'IMAGE', 'IMAGE'],
  ['diff', 'IMAGE', 'running'],
  ['export', 'IMAGE', '-o', 'OUT'],
  ['compact', 'IMAGE', '-o', 'OUT'],
  ['rescue', 'IMAGE', '-o', 'OUT'],
  ['scan', 'IMAGE'],
  ['recover', 'IMAGE', '--candidate', '1', '-o', 'OUT'],
  ['dehydrate', 'IMAGE', '-o', 'OUT'],
  ['rehydrate', 'IMAGE', '-o', 'OUT'],
];

test('each command that reads is in the list', async () => {
  const { stdout } = await qsnap(['--help']);
  const [, reading] = /Commands that read:\n([^]*?)\n\n/.exec(stdout)!;
  const names = [...reading!.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name);
  expect(new Set(READING.map(([name]) => name))).toEqual(new Set(names));
});

// `vmstate` refused it for all its parts.
test.each(READING.map((words) => [words.join(' '), words] as const))(
  'a record of %s',
  async (_, words) => {
    const folder = temporaryDirectory();
    const image = copyFixture('vm-state', folder);
    const file = join(folder, 'record.json');
    const argv = words.map((word) =>
      word === 'IMAGE' ? image : word === 'OUT' ? join(folder, 'out') : word,
    );
    const { code, stdout, stderr } = await qsnap([...argv, '--evidence', file]);
    expect(existsSync(file), stderr).toBe(true);
    expect(recordIn(file)).toMatchObject({
      sources: words
        .filter((word) => word === 'IMAGE')
        .map(() => ({
          path: image,
          'is-unchanged': true,
        })),
      'exit-code': code,
      stdout: { bytes: Buffer.byteLength(stdout) },
    });
    const hasIt = words[0] !== 'recover' && !words.includes('screen');
    if (hasIt) expect(stderr).not.toMatch(/^qsnap:/m);
  },
);

test.each([
  ['hash', 'IMAGE', '--backing'],
  ['export', 'IMAGE', '--backing', '-o', 'OUT'],
  ['map', 'IMAGE', '--backing'],
  ['audit', 'IMAGE', '--backing'],
  ['compare', 'IMAGE', 'IMAGE', '--backing'],
])('files that an image names are sources, too: %s', async (...words) => {
  const folder = temporaryDirectory();
  const image = copyFixture('backing', folder);
  const base = join(folder, copyCompanions('backing', folder)[0]!);
  const file = join(folder, 'record.json');
  const argv = words.map((word) =>
    word === 'IMAGE' ? image : word === 'OUT' ? join(folder, 'out') : word,
  );
  await qsnap([...argv, '--evidence', file]);
  const { sources } = recordIn(file);
  expect([...new Set(sources.map(({ path }) => path))]).toEqual([image, base]);
  const state = { sha256: sha256(readFileSync(base)) };
  expect(sources.at(-1)).toMatchObject({ before: state, after: state, 'is-unchanged': true });
  expect(sources.filter(({ path }) => path === base)).toHaveLength(1);
});

test('a record and an output need files of their own', async () => {
  const folder = temporaryDirectory();
  const image = copyFixture('five-snapshots', folder);
  const out = join(folder, 'out');
  for (const words of [
    ['dehydrate', image, '-o', out],
    ['usage', image, '--svg', out],
  ]) {
    const { code, stderr } = await qsnap([...words, '--evidence', `${folder}/./out`]);
    expect(code).toBe(1);
    expect(stderr).toContain("and '--evidence <file>' name one file: each needs its own");
    expect(existsSync(out)).toBe(false);
  }
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
