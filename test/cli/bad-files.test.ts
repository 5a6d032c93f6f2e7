/**
 * Files that are no sound image, given to the real programs: one clear line on stderr, a non-zero
 * exit, soon, and no byte of the file changed. And files that an image names: never opened.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { copyFixture, loadFixture } from '../support/fixture.js';
import { oneIn } from '../support/left-out.js';
import { temporaryDirectory } from '../support/directories.js';

const QSNAP = fileURLToPath(new URL('../../bin/qsnap.js', import.meta.url));
const QSNAP_IMG = fileURLToPath(new URL('../../bin/qsnap-img.js', import.meta.url));

/** A command that waits for a device would wait for ever. */
const SOON_MS = 20_000;

interface Outcome {
  readonly status: number | null;
  readonly stderr: string;
}

function run(argv: readonly string[]): Outcome {
  const options = { encoding: 'utf8', timeout: SOON_MS } as const;
  const { status, stderr } = spawnSync(process.execPath, argv, options);
  return { status, stderr };
}

/** Every command of both programs that takes an image. */
const commandsOn = (file: string): readonly (readonly string[])[] => [
  [QSNAP, 'info', file],
  [QSNAP, 'list', file],
  [QSNAP, 'show', file, '1'],
  [QSNAP, 'create', file, 'new'],
  [QSNAP, 'apply', file, '1', '--discard-changes'],
  [QSNAP, 'delete', file, '1'],
  [QSNAP, 'rename', file, '1', 'other'],
  [QSNAP_IMG, 'info', '-f', 'qcow2', file],
  [QSNAP_IMG, 'snapshot', '-c', 'new', file],
];

const READS = new Set(['info', 'list', 'show']);

const five = loadFixture('five-snapshots');

/** A socket that somebody listens at until the test is over. */
async function socketAt(path: string): Promise<void> {
  const server = createServer();
  onTestFinished(() => {
    server.close();
  });
  await once(server.listen(path), 'listening');
}

/** What lies at the path, by the test's name for it. */
const BAD: Readonly<Record<string, (path: string) => unknown>> = {
  nothing: () => undefined,
  'a directory': (path) => {
    mkdirSync(path);
  },
  'a socket': socketAt,
  'an empty file': (path) => {
    writeFileSync(path, '');
  },
  'a text': (path) => {
    writeFileSync(path, 'a text that is longer than the header of an image\n'.repeat(40));
  },
  'a qcow image of version 1': (path) => {
    writeFileSync(path, loadFixture('qcow-version-1'));
  },
  'an image cut in its header': (path) => {
    writeFileSync(path, five.subarray(0, 70));
  },
  'an image cut before its snapshot table': (path) => {
    writeFileSync(path, five.subarray(0, 0x30000));
  },
};

function bytesOf(path: string): Buffer | undefined {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
    ? readFileSync(path)
    : undefined;
}

function expectRefusal(outcome: Outcome, program: string): void {
  expect(outcome.status, outcome.stderr).toBe(1);
  // As qemu-img does, its twin warns first that it takes an unknown file for a raw disk.
  const lines = outcome.stderr.split('\n').filter((line) => !line.startsWith('WARNING: '));
  expect(lines.find((line) => /^\S/.test(line))).toMatch(new RegExp(`^(${program}): .{10,}`));
  expect(outcome.stderr, 'no stack').not.toMatch(/^\s+at /m);
}

describe.each(Object.keys(BAD))('%s', (name) => {
  test('is refused in one line, soon, and stays as it is', async () => {
    const path = join(temporaryDirectory(), 'disk.qcow2');
    await BAD[name]!(path);
    const before = bytesOf(path);
    for (const argv of oneIn(3, commandsOn(path), Object.keys(BAD).indexOf(name))) {
      // What needs no snapshot table is printed even where the table is cut off by qemu-img.
      const isQemuInfo = argv[0] === QSNAP_IMG && argv[1] === 'info';
      if (isQemuInfo && name === 'an image cut before its snapshot table') continue;
      // What can be read of it is read, with a warning of what can't.
      const isRead = name === 'an image cut before its snapshot table' && READS.has(argv[1]!);
      const program = argv[0] === QSNAP ? 'qsnap' : 'qsnap-img';
      expectRefusal(run(argv), isRead ? 'warning' : program);
    }
    expect(bytesOf(path)).toEqual(before);
  });
});

test('a character device is refused', () => {
  for (const argv of commandsOn('/dev/zero').slice(0, 4)) expectRefusal(run(argv), 'qsnap');
});

test('a disk that is too full for an edit: it says so before it writes', () => {
  const image = copyFixture('five-snapshots', temporaryDirectory());
  const before = readFileSync(image);
  // The shell's limit of the size of files, in units of 512 bytes: the file can't grow.
  const limit = Math.ceil(before.length / 512);
  const script = `ulimit -f ${limit}; trap '' XFSZ; exec "$0" "$1" create "$2" new`;
  const { status, stderr } = spawnSync('sh', ['-c', script, process.execPath, QSNAP, image], {
    encoding: 'utf8',
    timeout: SOON_MS,
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/^qsnap: /);
  expect(stderr).toContain('bytes more than the medium has free');
  expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
  const after = readFileSync(image);
  expect(after.length).toBe(before.length);
  expect(after.subarray(0, 512).equals(before.subarray(0, 512))).toBe(true);
  expect(run([QSNAP, 'create', image, 'now there is room']).status).toBe(0);
});

test('a backing name that leads to a socket, which can not be opened: nobody tries', async () => {
  const directory = temporaryDirectory();
  const image = copyFixture('backing', directory);
  await socketAt(join(directory, 'base.raw'));
  const commands: readonly (readonly string[])[] = [
    [QSNAP, 'info', image],
    [QSNAP, 'list', image],
    [QSNAP, 'create', image, 'new'],
    [QSNAP, 'rename', image, 'new', 'newer'],
    [QSNAP, 'apply', image, 'newer'],
    [QSNAP, 'delete', image, 'newer'],
    [QSNAP_IMG, 'info', image],
    [QSNAP_IMG, 'snapshot', '-l', image],
    [QSNAP_IMG, 'snapshot', '-c', 'new', image],
    [QSNAP_IMG, 'snapshot', '-a', 'new', image],
    [QSNAP_IMG, 'snapshot', '-d', 'new', image],
  ];
  for (const argv of commands) expect(run(argv)).toEqual({ status: 0, stderr: '' });
});
