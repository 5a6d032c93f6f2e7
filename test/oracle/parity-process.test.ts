/** What needs processes: the built program, bytes in argv, locks, images made on the spot. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { copyFixture } from '../support/fixture.js';
import { temporaryDirectory } from '../support/directories.js';
import { makeImage, use } from '../support/made-images.js';
import { oneIn } from '../support/left-out.js';
import { describeWithQemu, expectClean, qemuImg, qemuIo } from '../support/qemu.js';
import { behaviour, QEMU_IMG, qemuVersion, readBoth, type Outcome } from './parity.js';

const PROGRAM = fileURLToPath(new URL('../../bin/qsnap-img.js', import.meta.url));
const NO_SPACE = behaviour().unnumberedErrors
  ? 'No space left on device'
  : '-28 (No space left on device)';
/** The program's own name decides how it calls itself. */
const LINK = path.join(mkdtempSync(path.join(tmpdir(), 'qsnap-link-')), 'qemu-img');
symlinkSync(PROGRAM, LINK);
const ENV = { ...process.env, LC_ALL: 'C', TZ: 'UTC', QSNAP_QEMU_VERSION: qemuVersion() };

function finished(program: string, argv: readonly string[], cwd: string): Outcome {
  const { status, stdout, stderr } = spawnSync(program, argv, {
    cwd,
    env: ENV,
    encoding: 'latin1',
  });
  return { code: status ?? 128, stdout, stderr };
}

const qemu = (argv: readonly string[], cwd: string) => finished(QEMU_IMG, argv, cwd);
const ours = (argv: readonly string[], cwd: string) =>
  finished(process.execPath, [LINK, ...argv], cwd);

describeWithQemu('the built program', () => {
  test('prints and ends as qemu-img does', () => {
    const directory = temporaryDirectory();
    copyFixture('five-snapshots', directory);
    const disk = 'five-snapshots.qcow2';
    const lines = [
      ['snapshot', '-l', disk],
      ['info', disk],
      ['info', '--output=json', disk],
      ['snapshot', '-d', 'nosuch', disk],
      ['snapshot', '-l', '-c', 'x', disk],
      [],
    ];
    for (const argv of lines)
      expect(ours(argv, directory), argv.join(' ')).toEqual(qemu(argv, directory));
  });

  test('a name that is not UTF-8 comes through byte for byte', async () => {
    const directory = temporaryDirectory();
    const disk = copyFixture('no-snapshots', directory);
    const script = `exec "$0" "$1" snapshot -c "$(printf 'b\\377\\303\\251')" "$2"`;
    execFileSync('sh', ['-c', script, process.execPath, PROGRAM, disk], { env: ENV });
    const listed = qemu(['snapshot', '-l', disk], directory);
    expect(listed.stdout).toMatch(/^1 +b\xff\xc3\xa9 +0 B 20/m);
    expect(ours(['snapshot', '-l', disk], directory)).toEqual(listed);
    await expectClean(disk);
  });

  test('where the file may not become longer, snapshots are deleted all the same', async () => {
    const directory = temporaryDirectory();
    const disk = path.join(directory, 'disk.qcow2');
    await makeImage(disk, '64M', '', 'write -q -P 5 0 3M', 'snapshot first');
    await use(disk, 'write -q -P 6 0 3M', 'snapshot second', 'write -q -P 3 0 1M');
    const units = Math.ceil(statSync(disk).size / 512);
    const limited = (action: string, name: string) => {
      const script = `ulimit -f ${units}; trap '' XFSZ; exec "$0" "$1" snapshot "$2" "$3" "$4"`;
      const argv = ['-c', script, process.execPath, PROGRAM, action, name, disk];
      return spawnSync('sh', argv, { encoding: 'utf8', env: ENV });
    };
    expect(limited('-c', 'third')).toMatchObject({
      status: 1,
      stderr: `qsnap-img: Could not create snapshot 'third': ${NO_SPACE}\n`,
    });
    for (const name of ['second', 'first']) {
      expect(limited('-d', name)).toMatchObject({ status: 0, stdout: '', stderr: '' });
      await expectClean(disk);
    }
    expect((await qemuImg(['snapshot', '-l', disk])).stdout).toBe('');
    const same = await qemuIo(disk, ['read -q -P 3 0 1M', 'read -q -P 6 1M 2M']);
    expect(same.stdout + same.stderr).not.toContain('verification failed');
  });

  test('the time of a new snapshot is now, to the microsecond', async () => {
    const directory = temporaryDirectory();
    const disk = copyFixture('no-snapshots', directory);
    const before = Date.now();
    expect(ours(['snapshot', '-c', 'now', disk], directory).code).toBe(0);
    const { stdout } = await qemuImg(['info', '--output=json', disk]);
    const [made] = (JSON.parse(stdout) as { snapshots: Record<string, number>[] }).snapshots;
    const at = made!['date-sec']! * 1000 + made!['date-nsec']! / 1e6;
    expect(at).toBeGreaterThanOrEqual(before - 5);
    expect(at).toBeLessThanOrEqual(Date.now() + 5);
    expect(made!['date-nsec']! % 1000).toBe(0);
    await expectClean(disk);
  });
});

/** qemu-io with the image open, until `work` is done. */
async function whileOpen(flags: string[], image: string, work: () => Promise<void>): Promise<void> {
  const holder = spawn('qemu-io', [...flags, image], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(holder.stdout, 'data');
    await work();
  } finally {
    const gone = once(holder, 'exit');
    holder.stdin.end('quit\n');
    await gone;
  }
}

describeWithQemu('an image in use', () => {
  const commands = [
    ['info'],
    ['info', '-U'],
    ['snapshot', '-l'],
    ['snapshot', '-l', '-U'],
    ['snapshot'],
    ['snapshot', '-c', 'x'],
    ['snapshot', '-a', 'first'],
    ['snapshot', '-d', 'first'],
  ];

  test.each([
    { by: 'a writer', flags: [] },
    { by: 'a reader', flags: ['-r'] },
  ])('by $by is refused, or not, in the same words', async ({ flags }) => {
    const directory = temporaryDirectory();
    const disk = copyFixture('version-3', directory);
    await whileOpen(flags, disk, async () => {
      for (const command of commands) {
        const pair = await readBoth([...command, path.basename(disk)], directory);
        expect(pair.ours, command.join(' ')).toEqual(pair.qemu);
      }
    });
    await expectClean(disk);
  });
});

describeWithQemu('encryption', () => {
  const ciphers = [
    'encrypt.cipher-alg=aes-128,encrypt.cipher-mode=xts',
    'encrypt.cipher-alg=twofish-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,' +
      'encrypt.ivgen-hash-alg=sha256,encrypt.hash-alg=sha512',
    'encrypt.cipher-alg=serpent-256,encrypt.ivgen-alg=plain',
  ];

  test.each(oneIn(3, ciphers))('LUKS with %s', async (options) => {
    const directory = temporaryDirectory();
    const luks = 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10';
    const secret = ['--object', 'secret,id=s,data=abc'];
    const image = path.join(directory, 'disk.qcow2');
    await qemuImg([
      'create',
      '-q',
      '-f',
      'qcow2',
      ...secret,
      '-o',
      `${luks},${options}`,
      image,
      '1M',
    ]);
    for (const command of [['info'], ['info', '--output=json']]) {
      const pair = await readBoth([...command, 'disk.qcow2'], directory);
      expect(pair.ours).toEqual(pair.qemu);
    }
  });
});
