/** The built program as a process: arguments as bytes, closed pipes, exit codes. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { temporaryDirectory } from '../../support/directories.js';
import { layoutOf } from '../../support/image-builder.js';
import { oneIn } from '../../support/left-out.js';
import { expectSound, imageOf, parsed } from './harness.js';

const BIN = fileURLToPath(new URL('../../../bin/qsnap.js', import.meta.url));
const BUILT = fileURLToPath(new URL('../../../dist/cli/qsnap/qsnap.cjs', import.meta.url));

beforeAll(() => {
  if (!existsSync(BUILT)) throw new Error('run `npm run build` first: these tests run dist/');
});

function runBin(argv: readonly string[], options: { uid?: number } = {}) {
  const settings = { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' }, ...options } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...argv], settings);
  return { status, stdout, stderr };
}

test('an edit and a list', async () => {
  const image = imageOf('five-snapshots');
  expect(runBin(['create', image, 'from outside'])).toEqual({
    status: 0,
    stdout: `Created snapshot 6 "from outside" in ${image}.\n`,
    stderr: '',
  });
  expect(runBin(['list', image]).stdout).toMatch(/\n\* {2}6 {3}from outside /);
  await expectSound(image);
});

test('a failure is exit code 1', () => {
  const { status, stderr } = runBin(['list', 'no-such-file']);
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: "qsnap: Can't open no-such-file: there is no such file\n",
  });
});

test('a reader that goes away is no failure', async () => {
  const child = spawn(process.execPath, [BIN, 'list', '--json', imageOf('snapshots-300')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('what a pipe has no room for waits, also where the pipe is not made to wait', () => {
  const image = imageOf('snapshots-300');
  const whole = runBin(['list', '--json', image, image, image]).stdout;
  expect(whole.length).toBeGreaterThan(2 ** 17);
  // Another writer of the same pipe has made it one that refuses.
  const other = `new (require('net').Socket)({ fd: 1, readable: false }); setTimeout(process.exit, 2000)`;
  const ours = `"$0" "$1" list --json "$2" "$2" "$2"`;
  const script = `{ "$0" -e "${other}" & sleep 0.5; ${ours}; } | { sleep 1; cat; }`;
  const output = execFileSync('sh', ['-c', script, process.execPath, BIN, image], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    env: { ...process.env, TZ: 'UTC' },
  });
  expect(output).toBe(whole);
});

describe('output for which there is no room', () => {
  const told = expect.stringMatching(/^qsnap: can't write to stdout: E[A-Z]+: [^\n]+\n$/) as string;

  function runIn(script: string, bin: string, words: readonly string[]) {
    const out = join(temporaryDirectory(), 'out');
    const settings = { encoding: 'utf8', env: { ...process.env, out } } as const;
    const argv = ['-c', script, process.execPath, bin, ...words];
    const { status, stderr } = spawnSync('sh', argv, settings);
    return { status, stderr };
  }

  // As a device it has Node's stream, as a file it has none.
  const onDevice = (words: readonly string[], bin = BIN) =>
    runIn('"$0" "$@" > /dev/full', bin, words);
  const inFile = (words: readonly string[], bin = BIN) =>
    runIn(`trap '' XFSZ; ulimit -f 0; "$0" "$@" > "$out"`, bin, words);

  test('is told to be lost; an edit is done', async () => {
    const image = imageOf('five-snapshots');
    const create = ['create', image, 'told to nobody'];
    expect(onDevice(create)).toEqual({ status: 1, stderr: told });
    const { stdout } = runBin(['list', image]);
    expect(stdout).toContain('told to nobody');
    expect(inFile(['list', image])).toEqual({ status: 1, stderr: told });
    await expectSound(image);
  });

  test('of a disk: is told once', () => {
    const { status, stderr } = onDevice(['export', imageOf('five-snapshots'), '-o', '-']);
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^qsnap: [^\n]*five-snapshots[^\n]*: Can't write to stdout: ENOSPC[^\n]*\n$/,
    );
  });

  test.each([onDevice, inFile])('of a comparison: not the exit code of disks that differ', (to) => {
    const image = imageOf('five-snapshots');
    expect(to(['compare', image, image])).toEqual({ status: 2, stderr: told });
  });

  // The record had 0: it was written before the failure was known.
  test('of a command with a record: it has the exit code of the process', () => {
    const image = imageOf('five-snapshots');
    const commands = [
      { words: ['timeline', image], code: 1 },
      { words: ['compare', image, image], code: 2 },
    ];
    for (const { words, code } of commands) {
      const file = join(temporaryDirectory(), 'record.json');
      expect(onDevice([...words, '--evidence', file])).toEqual({ status: code, stderr: told });
      expect(parsed('evidence', readFileSync(file, 'utf8'))).toMatchObject({ 'exit-code': code });
    }
  });

  test.each([onDevice, inFile])('of qsnap-img: nothing is said, as qemu-img does', (to) => {
    const bin = BIN.replace('qsnap.js', 'qsnap-img.js');
    expect(to(['info', imageOf('five-snapshots')], bin)).toEqual({ status: 0, stderr: '' });
  });
});

test('a name of bytes that are not UTF-8 is refused', async () => {
  const image = imageOf('five-snapshots');
  // A shell makes the bytes: Node itself can't pass such an argument.
  const script = `"$0" "$1" create "$2" "$(printf 'bad\\377name')" 2>&1 || echo "code $?"`;
  const output = execFileSync('sh', ['-c', script, process.execPath, BIN, image], {
    encoding: 'utf8',
  });
  expect(output).toContain('argument 3 is not valid UTF-8');
  expect(output).toMatch(/code 1\n$/);
  await expectSound(image);
});

test('an image that may not be written is not edited, and can be read', () => {
  const image = imageOf('five-snapshots');
  chmodSync(dirname(image), 0o755);
  chmodSync(image, 0o444);
  // The superuser may write to anything, so that the child becomes somebody else.
  const options = process.getuid?.() === 0 ? { uid: 65534 } : {};
  const { status, stderr } = runBin(['create', image, 'x'], options);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^qsnap: Can't open .*: /);
  expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
  const planned = runBin(['create', '--dry-run', image, 'x'], options);
  expect(planned.status).toBe(1);
  expect(planned.stdout).toContain('Would create snapshot 6 "x".');
  expect(planned.stderr).toBe(stderr.split('\n').slice(0, -2).join('\n') + '\n');
  const { refusal } = parsed(
    'edit',
    runBin(['create', '-n', '--json', image, 'x'], options).stdout,
  ) as {
    refusal: unknown;
  };
  expect(refusal).toMatchObject({ code: 'OPEN_FAILED' });
  const repair = runBin(['repair', '--plan', '--json', image], options);
  expect(repair.status).toBe(1);
  expect(parsed('repair', repair.stdout)).toMatchObject({ refusal: { code: 'OPEN_FAILED' } });
});

/** The command where a file may have 512 bytes times this and no more. */
function runLimited(units: number, argv: readonly string[]) {
  const script = `ulimit -f ${units}; trap '' XFSZ; exec "$0" "$@"`;
  const args = ['-c', script, process.execPath, BIN, ...argv];
  return spawnSync('sh', args, { encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });
}

describe('a file that may not become longer', () => {
  test('a repair uses the free clusters inside, and a plan says so', async () => {
    const image = imageOf('refcount-too-low');
    truncateSync(image, 2 ** 20);
    const planned = runLimited(2048, ['repair', '--plan', image]);
    expect(planned.stdout).toContain('The file keeps its length.');
    const undo = resolve(dirname(image), 'old.undo');
    const { status, stderr } = runLimited(2048, ['repair', '--undo', undo, image]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(statSync(image).size).toBe(2 ** 20);
    expect(existsSync(undo)).toBe(true);
    await expectSound(image);
  });

  test('delete --in-place makes room where delete finds none', async () => {
    const image = imageOf('five-snapshots');
    // It has no free cluster.
    const units = statSync(image).size / 512;
    const { status, stderr } = runLimited(units, ['delete', image, 'id:5']);
    expect(status).toBe(1);
    expect(stderr).toContain('bytes more than the medium has free');
    expect(stderr).toContain('--in-place');
    expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
    const argv = ['delete', '--in-place', image, 'id:5'];
    const planned = runLimited(units, [...argv, '--dry-run', '--json']);
    expect(planned.status).toBe(0);
    expect(parsed('edit', planned.stdout)).toMatchObject({ 'dry-run': true, 'growth-bytes': 0 });
    expect(runLimited(units, [...argv, '--dry-run']).stdout).toMatch(
      /\n1 take the snapshots off the list with one write; flush\n[^]*\nA cut on the way may leave /,
    );
    const done = runLimited(units, [...argv, '--verify', '--json']);
    expect(done).toMatchObject({ status: 0, stderr: '' });
    expect(parsed('edit', done.stdout)).toMatchObject({ verified: true, operation: 'delete' });
    expect(statSync(image).size).toBe(units * 512);
    await expectSound(image);
  });

  test('an edit without room says before it writes how much is missing', async () => {
    const image = imageOf('five-snapshots');
    const before = readFileSync(image);
    const size = before.length / 512;
    const { status, stderr } = runLimited(size, ['create', image, 'x']);
    expect(status).toBe(1);
    const [, bytes] = /needs (\d+) bytes more than the medium has free\n/.exec(stderr)!;
    expect(stderr).toMatch(/\nThe image is unchanged\.\n$/);
    expect(runLimited(size, ['create', '--dry-run', image, 'x'])).toMatchObject({
      status: 1,
      stderr,
    });
    expect(readFileSync(image).equals(before)).toBe(true);
    expect(runLimited(size + Number(bytes) / 512, ['create', image, 'x']).status).toBe(0);
    await expectSound(image);
  });
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends an export, and nothing is left',
  async (signal) => {
    const image = imageOf('five-snapshots');
    const folder = dirname(image);
    const args = ['export', '--manifest', resolve(folder, 'm.json'), image, '-o', '-'];
    const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    // Nobody reads stdout, so that the export waits in its middle.
    await vi.waitUntil(() => readdirSync(folder).includes('.m.json.qsnap-partial'), 20_000);
    await new Promise((settle) => child.stdout.once('readable', settle));
    child.kill(signal);
    child.stdout.resume();
    const ended = await new Promise((settle) => {
      child.on('close', (code, by) => {
        settle({ code, by });
      });
    });
    expect(ended).toEqual({ code: null, by: signal });
    expect(stderr).toContain('the copy was stopped before it was complete');
    expect(readdirSync(folder)).toEqual(['five-snapshots.qcow2']);
  },
);

const SIGNALLING = fileURLToPath(new URL('../../support/signal-at-call.cjs', import.meta.url));
const IMG_BIN = fileURLToPath(new URL('../../../bin/qsnap-img.js', import.meta.url));

/** Runs an edit that gets a signal when it flushes for the nth time: what it finds, the shadow, the switch. */
function runSignalled(signal: string, nth: number, bin: string, argv: readonly string[]) {
  return runSignalledAt('fdatasync', signal, nth, bin, argv);
}

function runSignalledAt(
  call: 'read' | 'fdatasync',
  ...[signal, nth, bin, argv]: Parameters<typeof runSignalled>
) {
  const env = { ...process.env, QSNAP_SIGNAL: `${signal} ${call} ${nth}` };
  const args = ['--require', SIGNALLING, bin, ...argv];
  return spawnSync(process.execPath, args, { env, encoding: 'utf8' });
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const STOPPED = [
  [BIN, (image: string) => ['create', image, 'new']],
  [BIN, (image: string) => ['apply', '--discard-changes', image, 'id:2']],
  [IMG_BIN, (image: string) => ['snapshot', '-c', 'new', image]],
  [IMG_BIN, (image: string) => ['resize', image, '64M']],
] as const;

describe.each(SIGNALS)('%s', (signal) => {
  test('in stage 1 ends an edit in the old state, with the file as long as it was', async () => {
    const before = readFileSync(imageOf('five-snapshots'));
    for (const [bin, argv] of oneIn(3, STOPPED, SIGNALS.indexOf(signal))) {
      const image = imageOf('five-snapshots');
      const done = runSignalled(signal, 2, bin, argv(image));
      expect(done.signal).toBe(signal);
      expect(done.stdout).toBe('');
      expect(done.stderr).toContain('the edit was stopped before it was complete');
      if (bin === BIN) expect(done.stderr).toContain('The image has its old state and is sound');
      const after = readFileSync(image);
      expect(after.length).toBe(before.length);
      expect(after.subarray(0, 512).equals(before.subarray(0, 512))).toBe(true);
      await expectSound(image);
    }
  });

  test('from the switch on is obeyed when the edit is complete', async () => {
    const image = imageOf('five-snapshots');
    const done = runSignalled(signal, 3, BIN, ['create', image, 'new']);
    expect(done.signal).toBe(signal);
    expect(done.stdout).toBe(`Created snapshot 6 "new" in ${image}.\n`);
    expect(done.stderr).toContain(`${signal} came after the switch: the edit is done`);
    expect(runBin(['list', image]).stdout).toContain('new');
    await expectSound(image);
  });
});

describe('a signal while an image is still read', () => {
  let image = '';
  let before: Buffer;
  beforeAll(() => {
    // Its tables are so large that they are not read at once.
    image = imageOf('cluster-2m');
    expect(runBin(['create', image, 'one']).status).toBe(0);
    before = readFileSync(image);
  });

  test.each([
    ['create', ['new'], 'planning'],
    ['create', ['--verify', 'new'], 'planning'],
    ['apply', ['--discard-changes', 'one'], 'planning'],
    ['delete', ['one'], 'planning'],
    ['delete', ['--in-place', 'one'], 'planning'],
    ['rename', ['one', 'other'], 'planning'],
    ['repair', ['all'], 'proposal of a repair'],
  ])('%s %j: nothing is written, and the process dies of it', (command, words, what) => {
    const done = runSignalledAt('read', 'SIGINT', 1, BIN, [command, image, ...words]);
    expect(done.signal).toBe('SIGINT');
    expect(done.stdout).toBe('');
    expect(done.stderr).toBe(
      `qsnap: ${image}: the ${what} was stopped before it was complete\nThe image is unchanged.\n`,
    );
    expect(readFileSync(image).equals(before)).toBe(true);
  });
});

test('a signal ends a repair as it ends an edit, and leaves no undo file', () => {
  const image = imageOf('five-snapshots');
  // A refcount too high by one: a leak.
  const bytes = readFileSync(image);
  const { refcountTableAt } = layoutOf(bytes);
  const block = Number(bytes.readBigUInt64BE(refcountTableAt));
  bytes.writeUInt16BE(2, block);
  writeFileSync(image, bytes);
  const undo = join(dirname(image), 'undo');
  const done = runSignalled('SIGINT', 2, BIN, ['repair', '--undo', undo, image, 'all']);
  expect(done.signal).toBe('SIGINT');
  expect(done.stderr).toContain('The image is what it was, flaws included');
  expect(readFileSync(image).equals(bytes)).toBe(true);
  expect(existsSync(undo)).toBe(false);
});

test('where there is no room for an export, nothing is left of it', () => {
  const image = imageOf('five-snapshots');
  // The shell's limit is in units of 512 bytes or of 1 KiB; the disk has 4 MiB.
  const script = 'ulimit -f 1000; exec "$0" "$1" export --json "$2" -o "$3"';
  const out = resolve(dirname(image), 'out.raw');
  const argv = ['-c', script, process.execPath, BIN, image, out];
  const { status, stdout, stderr } = spawnSync('sh', argv, { encoding: 'utf8' });
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'NO_SPACE' } });
  expect(stderr).toContain('the file would become longer than the system allows');
  expect(readdirSync(dirname(image))).toEqual(['five-snapshots.qcow2']);
});

const PRELOAD = fileURLToPath(new URL('../../support/loaded-files.cjs', import.meta.url));

/** The built files that a command loads, besides the one in bin/, and whether it loads koffi and Node's zlib. */
function loadedBy(...argv: readonly string[]) {
  const out = resolve(temporaryDirectory(), 'loaded.json');
  const env = { ...process.env, QSNAP_LOADED: out };
  const { status } = spawnSync(process.execPath, ['--require', PRELOAD, BIN, ...argv], { env });
  expect(status).toBe(0);
  const all = JSON.parse(readFileSync(out, 'utf8')) as { file: string; bytes: number }[];
  const files = all.filter(({ file }) => file.startsWith(dirname(BUILT)));
  const text = files.map(({ file }) => readFileSync(file, 'utf8')).join('');
  const koffi = all.some(({ file }) => basename(file) === 'koffi.node');
  const zlib = all.some(({ file }) => file === 'NativeModule zlib');
  return {
    files: files.length,
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    text,
    koffi,
    zlib,
  };
}

describe('a command loads what it needs', () => {
  test.each(['--version', '--help'])('%s: not the engine', (option) => {
    const { files, bytes, text } = loadedBy(option);
    expect(text).toContain('async function run(');
    expect(text).not.toContain('async function openImage(');
    expect(files).toBeLessThanOrEqual(4);
    expect(bytes).toBeLessThan(208_000);
  });

  test('list: not the planner', () => {
    const { files, bytes, text } = loadedBy('list', imageOf('five-snapshots'));
    expect(text).toContain('async function openImage(');
    expect(text).not.toContain('async function planEdit(');
    expect(text).not.toContain('class ImageGroup');
    expect(files).toBeLessThanOrEqual(21);
    expect(bytes).toBeLessThan(383_000);
  });

  test('create: the planner, and not the check', () => {
    const { bytes, text } = loadedBy('create', imageOf('five-snapshots'), 'one more');
    expect(text).toContain('async function planEdit(');
    expect(text).not.toContain('async function checkImage(');
    expect(text).not.toContain('class ImageGroup');
    expect(bytes).toBeLessThan(486_000);
  });

  test('koffi: only where a raw file is read, which may have holes', () => {
    const image = imageOf('five-snapshots');
    const raw = join(dirname(image), 'five.raw');
    expect(loadedBy('list', image).koffi).toBe(false);
    expect(loadedBy('export', image, '-o', raw).koffi).toBe(false);
    expect(loadedBy('compare', image, '--with-format', 'raw', raw).koffi).toBe(true);
  });

  test('zlib: only where something is unpacked or packed', () => {
    const [plain, packed] = [imageOf('five-snapshots'), imageOf('compressed-zlib')];
    const other = join(temporaryDirectory(), 'other.raw');
    expect(loadedBy('export', plain, '-o', join(dirname(other), 'plain.raw')).zlib).toBe(false);
    expect(loadedBy('export', packed, '-o', other).zlib).toBe(true);
  });
});

test.each([
  [undefined, '16'],
  ['3', '3'],
])('with a thread pool of %s threads asked for there are %s', (asked, used) => {
  const told = `process.on('exit', () => console.log(process.env.UV_THREADPOOL_SIZE))`;
  const hook = join(temporaryDirectory(), 'hook.cjs');
  writeFileSync(hook, told);
  const { UV_THREADPOOL_SIZE: _, ...env } = process.env;
  const { stdout } = spawnSync(process.execPath, ['--require', hook, BIN, '--version'], {
    encoding: 'utf8',
    env: { ...env, ...(asked !== undefined && { UV_THREADPOOL_SIZE: asked }) },
  });
  expect(stdout.split('\n')[1]).toBe(used);
});
