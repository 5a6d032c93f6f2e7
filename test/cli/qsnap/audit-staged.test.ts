/** `audit --staged`: the bytes that a commit would have are judged, whatever the working tree has by then. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { parseLfsPointer } from '../../../src/cli/qsnap/staged/lfs-pointer.js';
import { parseRaw } from '../../../src/cli/qsnap/staged/staged-files.js';
import { temporaryDirectory } from '../../support/directories.js';
import { loadFixture } from '../../support/fixture.js';
import { parsed, qsnap, type Ran } from './harness.js';

const BIN = fileURLToPath(new URL('../../../bin/qsnap.js', import.meta.url));
const AUDIT = ['audit', '--profile', 'golden-image'];
const home = process.cwd();

/** What git takes from its surroundings: nothing of the machine's. */
const ENV: Readonly<Record<string, string>> = {
  PATH: process.env['PATH']!,
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  ...{ GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.org' },
  ...{ GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.org' },
};

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { env: ENV, encoding: 'utf8', stdio: 'pipe' });
}

const staged = (...argv: readonly string[]): Promise<Ran> =>
  qsnap([...AUDIT, '--staged', ...argv], { env: ENV });

async function namesOf(...argv: readonly string[]): Promise<readonly string[]> {
  const { stdout } = await staged('--json', ...argv);
  const { images } = parsed('audit', stdout) as { images: readonly { filename: string }[] };
  return images.map(({ filename }) => filename);
}

/** An image that keeps the rules, and one that breaks them. */
const GOOD = loadFixture('no-snapshots');
const BAD = loadFixture('five-snapshots');

function add(file: string, bytes: Uint8Array | string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  git('add', '--', file);
}

beforeEach(() => {
  process.chdir(temporaryDirectory());
  git('init', '-q', '-b', 'main');
});
afterEach(() => {
  process.chdir(home);
});

describe('the images that are staged', () => {
  test('are judged before the first commit, and none makes the gate pass', async () => {
    expect(await staged()).toEqual({ code: 0, stdout: 'No qcow2 image is staged.\n', stderr: '' });
    expect(await staged('-q')).toEqual({ code: 0, stdout: '', stderr: '' });
    add('disk.qcow2', BAD);
    expect(await staged()).toEqual({
      code: 4,
      stdout:
        'disk.qcow2: 1 error\n  error    QS1101 snapshots: the image has 5 internal snapshots; the most allowed is 0 (at 0x3c)\n',
      stderr: '',
    });
    git('commit', '-q', '-m', 'x');
    expect(await namesOf()).toEqual([]);
  });

  test.each([
    ['sarif', '"results": []'],
    ['junit', '<testsuites name="qsnap audit" tests="0"'],
    ['json', '"images": []'],
  ])('are none: --format %s is a whole document', async (format, holds) => {
    const { code, stdout } = await staged('--format', format);
    expect(code).toBe(0);
    expect(stdout).toContain(holds);
  });

  test('are known by their first bytes', async () => {
    add('disk', GOOD);
    add('disk.txt', GOOD);
    add('notes.qcow2', 'not an image at all');
    add('empty.qcow2', '');
    add('short.qcow2', 'QF');
    expect(await namesOf()).toEqual(['disk', 'disk.txt']);
  });

  test('are what is staged, not what the working tree has', async () => {
    add('now-good.qcow2', BAD);
    add('now-bad.qcow2', GOOD);
    add('now-gone.qcow2', BAD);
    writeFileSync('now-good.qcow2', GOOD);
    writeFileSync('now-bad.qcow2', BAD);
    rmSync('now-gone.qcow2');
    writeFileSync('not-added.qcow2', BAD);
    const { stdout } = await staged();
    expect(stdout).toMatch(
      /^now-bad\.qcow2: passes\nnow-gone\.qcow2: 1 error\n.*\nnow-good\.qcow2: 1 error\n/,
    );
    expect(stdout).not.toContain('not-added');
  });

  test('are those that a commit adds, changes, copies, renames or makes of a link', async () => {
    add('deleted.qcow2', BAD);
    add('old.qcow2', BAD);
    add('same.qcow2', BAD);
    add('changed.qcow2', GOOD);
    symlinkSync('same.qcow2', 'link.qcow2');
    git('add', 'link.qcow2');
    git('commit', '-q', '-m', 'x');
    git('rm', '-q', 'deleted.qcow2');
    git('mv', 'old.qcow2', 'new.qcow2');
    add('copy.qcow2', BAD);
    add('changed.qcow2', BAD);
    rmSync('link.qcow2');
    add('link.qcow2', BAD);
    symlinkSync('same.qcow2', 'another-link.qcow2');
    git('add', 'another-link.qcow2');
    expect(await namesOf()).toEqual(['changed.qcow2', 'copy.qcow2', 'link.qcow2', 'new.qcow2']);
  });

  test('may have any name', async () => {
    const names = [
      '-rf.qcow2',
      ' ',
      'ä 漢 😀',
      'a\nb',
      'a\tb"c\\d',
      '::error x',
      "it's $(id)",
      '*',
    ];
    for (const name of names) {
      writeFileSync(name, GOOD);
      git('--literal-pathspecs', 'add', '--', name);
    }
    expect((await namesOf()).toSorted()).toEqual(names.toSorted());
    const { code, stdout } = await staged();
    expect(code).toBe(0);
    expect(stdout.split('\n')).toHaveLength(names.length + 3);
  });

  test('are told by their paths in the repository, also from a folder of it', async () => {
    add('images/a/disk.qcow2', BAD);
    add('top.qcow2', GOOD);
    git('config', 'diff.relative', 'true');
    process.chdir('images/a');
    expect(await namesOf()).toEqual(['images/a/disk.qcow2', 'top.qcow2']);
    const policy = path.join(temporaryDirectory(), 'policy.yaml');
    writeFileSync(
      policy,
      'extends: [golden-image]\nexceptions:\n' +
        '  - { rule: snapshots, images: ["images/**"], reason: known, until: 2999-12-31 }\n',
    );
    const argv = ['audit', '--policy', policy, '--staged'];
    expect((await qsnap(argv, { env: ENV })).code).toBe(0);
  });

  test('are many, and large, and read by one process', async () => {
    for (let i = 0; i < 60; i++) writeFileSync(`${i}.txt`, 'x'.repeat(i * 997));
    const large = Buffer.concat([BAD, Buffer.alloc(3 * 2 ** 20, 'left behind ')]);
    writeFileSync('large', large);
    git('add', '.');
    const { stdout } = await qsnap([...AUDIT, '--json', 'large']);
    expect(stdout).toContain('in the end of the file');
    expect((await staged('--json')).stdout).toBe(stdout);
  });

  test('of a repository with SHA-256', async () => {
    rmSync('.git', { recursive: true });
    git('init', '-q', '--object-format=sha256');
    add('disk.qcow2', BAD);
    expect(await namesOf()).toEqual(['disk.qcow2']);
  });
});

test('nothing is left behind, in the repository or beside it', async () => {
  const folder = temporaryDirectory();
  add('disk.qcow2', BAD);
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = folder;
  try {
    const index = createHash('sha256').update(git('ls-files', '--debug')).digest('hex');
    expect((await staged()).code).toBe(4);
    expect(readdirSync(folder)).toEqual([]);
    expect(readdirSync('.')).toEqual(['.git', 'disk.qcow2']);
    expect(createHash('sha256').update(git('ls-files', '--debug')).digest('hex')).toBe(index);
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  }
});

test('a signal ends it, and nothing is left behind', async () => {
  const programs = temporaryDirectory();
  const folder = temporaryDirectory();
  // Git that hands over the list, and takes its time with what is on it.
  const slow = `#!/bin/sh\n[ "$1" != cat-file ] || exec sleep 60\nPATH="$REAL" exec git "$@"\n`;
  writeFileSync(path.join(programs, 'git'), slow, { mode: 0o755 });
  add('disk.qcow2', BAD);
  const { PATH } = ENV;
  const env = { ...ENV, REAL: PATH!, PATH: `${programs}:${PATH!}`, TMPDIR: folder };
  const argv = [BIN, ...AUDIT, '--staged'];
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  await vi.waitUntil(() => readdirSync(folder).length > 0, 20_000);
  child.kill('SIGINT');
  const by = await new Promise((settle) =>
    child.on('close', (_, signal) => {
      settle(signal);
    }),
  );
  expect({ by, stderr, left: readdirSync(folder) }).toEqual({
    by: 'SIGINT',
    stderr: 'qsnap: the audit was stopped before it was complete\n',
    left: [],
  });
});

describe('can not be told', () => {
  test('outside of a repository', async () => {
    process.chdir(mkdtempSync(path.join(temporaryDirectory(), 'x')));
    const env = { ...ENV, GIT_CEILING_DIRECTORIES: tmpdir() };
    const { code, stdout, stderr } = await qsnap([...AUDIT, '--staged'], { env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^qsnap: can't tell what is staged: not a git repository[^\n]*\n$/);
    const json = await qsnap([...AUDIT, '--staged', '--json'], { env });
    expect(json.code).toBe(1);
    expect(parsed('audit', json.stdout)).toMatchObject({ error: { code: 'OPEN_FAILED' } });
  });

  test('without git', async () => {
    const { code, stderr } = await qsnap([...AUDIT, '--staged'], { env: { PATH: '/nonexistent' } });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "qsnap: can't tell what is staged: git is not installed\n",
    });
  });

  test('where an object is not there', async () => {
    add('a.txt', 'text');
    add('disk.qcow2', BAD);
    const [blob] = git('rev-parse', ':disk.qcow2').split('\n');
    rmSync(path.join('.git', 'objects', blob!.slice(0, 2), blob!.slice(2)));
    const { code, stderr } = await staged();
    expect(code).toBe(1);
    expect(stderr).toContain(`git says "${blob!} missing"`);
  });

  test('with images by name', async () => {
    const { code, stderr } = await staged('disk.qcow2');
    expect(code).toBe(1);
    expect(stderr).toContain('--staged takes the images from git');
  });
});

describe('Git LFS', () => {
  const pointerTo = (bytes: Uint8Array): string => {
    const oid = createHash('sha256').update(bytes).digest('hex');
    return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${bytes.length}\n`;
  };
  const NOTE = 'what is staged is a Git LFS pointer; its file is audited';

  test('the file of the working tree is judged where it is the one', async () => {
    add('images/disk.qcow2', pointerTo(BAD));
    writeFileSync('images/disk.qcow2', BAD);
    const { code, stdout, stderr } = await staged();
    expect(code).toBe(4);
    expect(stdout).toContain('images/disk.qcow2: 1 error\n');
    expect(stderr).toBe(`warning: images/disk.qcow2: ${NOTE}\n`);
    process.chdir('images');
    expect((await staged('-q')).stderr).toBe('');
  });

  test('and where it is another one, nothing is said of it but that', async () => {
    add('disk.qcow2', pointerTo(BAD));
    writeFileSync('disk.qcow2', GOOD);
    const { code, stdout, stderr } = await staged();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^qsnap: disk\.qcow2: what is staged is a Git LFS pointer, and no file/);
    rmSync('disk.qcow2');
    mkdirSync('disk.qcow2');
    expect((await staged()).code).toBe(1);
  });

  test('what was added is judged from where Git LFS keeps it', async () => {
    add('disk.qcow2', pointerTo(BAD));
    writeFileSync('disk.qcow2', GOOD);
    const oid = createHash('sha256').update(BAD).digest('hex');
    const folder = path.join('.git/lfs/objects', oid.slice(0, 2), oid.slice(2, 4));
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, oid), BAD);
    expect(await staged()).toMatchObject({ code: 4, stderr: `warning: disk.qcow2: ${NOTE}\n` });
    // A file that only has the name of what is looked for is not it.
    writeFileSync(path.join(folder, oid), GOOD);
    expect((await staged()).code).toBe(1);
  });

  test('pointers to other files are passed over', async () => {
    const photo = new TextEncoder().encode('a photo');
    add('photo.jpg', pointerTo(photo));
    writeFileSync('photo.jpg', photo);
    expect(await namesOf()).toEqual([]);
  });

  test('a text that is no pointer is none', () => {
    const pointer = pointerTo(GOOD);
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
    expect(parseLfsPointer(bytes(pointer))).toMatchObject({ sizeBytes: GOOD.length });
    for (const text of [
      ...['', 'version 1', pointer.replace('sha256', 'sha1'), pointer.replace('size', 'sizes')],
      ...[`x${pointer}`, pointer.replace('version', 'Version'), pointer + ' '.repeat(1024)],
    ]) {
      expect(parseLfsPointer(bytes(text)), text).toBeUndefined();
    }
  });
});

describe('as a hook', () => {
  /** The built program as the pre-commit hook of the repository. */
  function installHook(folder = '.git/hooks', before = ''): void {
    const line = `exec '${process.execPath}' '${BIN}' audit --profile golden-image --staged`;
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'pre-commit'), `#!/bin/sh\n${before}${line}\n`);
    chmodSync(path.join(folder, 'pre-commit'), 0o755);
  }

  function commit(...args: readonly string[]): { status: number | null; output: string } {
    const options = { env: ENV, encoding: 'utf8' } as const;
    const ran = spawnSync('git', ['commit', '-q', '-m', 'x', ...args], options);
    return { status: ran.status, output: ran.stdout + ran.stderr };
  }

  test('keeps a commit from being made', () => {
    installHook();
    add('good.qcow2', GOOD);
    expect(commit()).toEqual({ status: 0, output: expect.stringContaining('passes') as string });
    add('bad.qcow2', BAD);
    expect(commit()).toMatchObject({ status: 1 });
    expect(git('status', '--porcelain')).toBe('A  bad.qcow2\n');
  });

  // Git makes an index of its own for such a commit, and names it in the environment.
  test('judges a commit of one file by that file alone', () => {
    add('one.qcow2', GOOD);
    add('other.qcow2', GOOD);
    git('commit', '-q', '-m', 'x');
    installHook();
    add('other.qcow2', BAD);
    appendFileSync('one.qcow2', new Uint8Array(512));
    const partial = commit('-o', 'one.qcow2');
    expect(partial.output).toContain('one.qcow2');
    expect(partial.output).not.toContain('other.qcow2');
    expect(partial.status).toBe(0);
    expect(commit('-o', 'other.qcow2').status).toBe(1);
  });

  test('in another working tree, and from a folder', () => {
    add('a.txt', 'text');
    git('commit', '-q', '-m', 'x');
    const main = process.cwd();
    git('worktree', 'add', '-q', 'tree');
    installHook();
    process.chdir('tree');
    mkdirSync('deep');
    process.chdir('deep');
    add('bad.qcow2', BAD);
    const { status, output } = commit();
    expect(status).toBe(1);
    expect(output).toContain('deep/bad.qcow2: 1 error');
    process.chdir(main);
    expect(commit('--allow-empty').status).toBe(0);
  });

  test('of a repository that the environment names', async () => {
    add('bad.qcow2', BAD);
    renameSync('.git', 'elsewhere');
    const env = { ...ENV, GIT_DIR: path.resolve('elsewhere') };
    process.chdir(temporaryDirectory());
    const { code, stdout } = await qsnap([...AUDIT, '--staged'], { env });
    expect(code).toBe(4);
    expect(stdout).toContain('bad.qcow2: 1 error');
  });
});

test('files of the index by what git prints', () => {
  const zeros = '0'.repeat(40);
  const raw =
    `:000000 100755 ${zeros} 1111 A\0a\nb\0` +
    `:000000 120000 ${zeros} 2222 A\0link\0` +
    `:000000 160000 ${zeros} 3333 A\0module\0` +
    `:120000 100644 ${zeros} 4444 T\0:c\0`;
  expect(parseRaw(new TextEncoder().encode(raw))).toEqual([
    { path: 'a\nb', blob: '1111' },
    { path: ':c', blob: '4444' },
  ]);
  expect(parseRaw(new Uint8Array())).toEqual([]);
});
