/** qsnap-img against what qemu-img printed when the fixtures were made: needs no QEMU. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { byteString, byteStringOfText } from '../../../src/cli/qemu-img/grammar/bytes.js';
import { COMMANDS } from '../../../src/cli/qemu-img/command.js';
import { VERSIONS } from '../../../src/cli/qemu-img/version/behaviour.js';
import {
  copyFixture,
  expectedBytes,
  expectedExits,
  fixtureNames,
  loadFixture,
} from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';
import { check, judgedByQemu } from '../../support/qemu.js';
import { runInMemory } from './streams.js';

const zone = process.env['TZ'];
beforeAll(() => {
  process.env['TZ'] = 'UTC';
});
afterAll(() => {
  if (zone === undefined) delete process.env['TZ'];
  else process.env['TZ'] = zone;
});

/** QEMU wanted a key, a file that is not there, or knows the format. */
const NOT_ALIKE = new Set([
  'aes',
  'luks',
  'backing-json-name',
  'backing-missing',
  'qcow-version-1',
]);

test.each(fixtureNames().filter((name) => !NOT_ALIKE.has(name)))('snapshot -l %s', async (name) => {
  const file = copyFixture(name, temporaryDirectory());
  const { code, stdout } = await runInMemory(['snapshot', '-l', file]);
  expect(stdout).toBe(byteString(expectedBytes(name, 'snapshot-l.txt')));
  expect(code).toBe(expectedExits(name)['snapshot-l.txt']?.code ?? 0);
});

test('what reads says early that it will; what edits does not, whose locks would wait', async () => {
  const file = copyFixture('version-3', temporaryDirectory());
  const told = async (...argv: string[]): Promise<number> => {
    let count = 0;
    const { code, stderr } = await runInMemory(argv, { expectImages: () => (count += 1) });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return count;
  };
  expect(await told('info', file)).toBe(1);
  expect(await told('map', file)).toBe(1);
  expect(await told('measure', '-O', 'qcow2', file)).toBe(1);
  expect(await told('compare', file, file)).toBe(1);
  expect(await told('convert', '-O', 'raw', file, `${file}.raw`)).toBe(1);
  expect(await told('snapshot', '-c', 'new', file)).toBe(0);
  expect(await told('resize', file, '+1M')).toBe(0);
  expect(await told('create', '-f', 'qcow2', `${file}.new`, '1M')).toBe(0);
  expect(await told('check', file)).toBe(1);
});

test('create, list, apply and delete on one image', async () => {
  const file = copyFixture('version-3', temporaryDirectory());
  expect(await runInMemory(['snapshot', '-c', 'new', file])).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  });
  const listed = await runInMemory(['snapshot', '-l', file]);
  expect(listed.stdout).toMatch(/^\d+ +new +0 B 2023-11-14 22:13:20 00:00:00\.000 +0$/m);
  expect((await runInMemory(['snapshot', '-a', 'new', file])).code).toBe(0);
  expect((await runInMemory(['snapshot', '-d', 'new', file])).code).toBe(0);
  expect((await runInMemory(['snapshot', '-l', file])).stdout).not.toContain('new');
  await judgedByQemu(async () => {
    expect((await check(file)).code).toBe(0);
  });
});

test('a name of any bytes is kept, cut to 255', async () => {
  const file = copyFixture('no-snapshots', temporaryDirectory());
  const name = `\xff${'\xc3\xa9'.repeat(150)}`;
  expect((await runInMemory(['snapshot', '-c', name, file])).code).toBe(0);
  const { stdout } = await runInMemory(['snapshot', '-l', file]);
  expect(stdout).toContain(` ${name.slice(0, 255)} `);
  const whole = await runInMemory(['snapshot', '-d', name, file]);
  expect(whole.stderr).toContain('snapshot not found');
  await judgedByQemu(async () => {
    expect((await check(file)).code).toBe(0);
  });
});

test('a terminal gets no control characters, a pipe gets the bytes', async () => {
  const file = copyFixture('no-snapshots', temporaryDirectory());
  await runInMemory(['snapshot', '-c', 'a\x1b[2J\nb', file]);
  const piped = await runInMemory(['snapshot', '-l', file]);
  expect(piped.stdout).toContain('a\x1b[2J\nb');
  const shown = await runInMemory(['snapshot', '-l', file], { isTerminal: true });
  expect(shown.stdout).toContain('a\\x1b[2J\\nb');
  const info = await runInMemory(['info', file], { isTerminal: true });
  expect(info.stdout).toContain('a\\x1b[2J\\nb');
  await judgedByQemu(async () => {
    expect((await check(file)).code).toBe(0);
  });
});

test('a message about a file that an image names obeys no name on a terminal', async () => {
  const file = copyFixture('backing-missing', temporaryDirectory());
  const image = readFileSync(file);
  const view = new DataView(image.buffer, image.byteOffset);
  const name = 'a\x1b[2J\n\xe2\x80\xaeb\\';
  const at = Number(view.getBigUint64(8));
  image.fill(0, at, at + view.getUint32(16));
  image.write(name, at, 'latin1');
  view.setUint32(16, name.length);
  writeFileSync(file, image);
  for (const argv of [
    ['map', file],
    ['measure', file],
    ['compare', file, file],
    ['convert', '-O', 'raw', file, `${file}.raw`],
  ]) {
    const piped = await runInMemory(argv);
    expect(piped.stderr).toContain(name);
    const shown = await runInMemory(argv, { isTerminal: true });
    expect(shown.stderr).toContain('a\\x1b[2J\\n\\u{202e}b\\');
    expect(shown.stderr.split('\n')).toHaveLength(2);
  }
});

test('a path that is not UTF-8 is refused', async () => {
  const { code, stderr } = await runInMemory(['info', 'a\xff']);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: "qsnap-img: Could not open 'a\xff': a path has to be valid UTF-8 here\n",
  });
});

test('POSIXLY_CORRECT ends the options at the first operand', async () => {
  const env = { POSIXLY_CORRECT: '1' };
  const { stderr } = await runInMemory(['info', 'a', '-U'], { env });
  expect(stderr).toMatch(/^qsnap-img: Expecting one image file name\n/);
});

test('help names what is there', async () => {
  const { code, stdout, stderr } = await runInMemory(['--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^qemu-img version 7\.2\.22 \(qsnap \d+\.\d+\.\d+\)\n/);
  for (const command of Object.keys(COMMANDS)) expect(stdout).toContain(`\n  ${command} [`);
  const newest = await runInMemory(['--qemu-version', '11.1', '--help']);
  for (const command of Object.keys(COMMANDS)) expect(newest.stdout).toContain(`\n  ${command} - `);
});

test.each(Object.keys(COMMANDS))('%s --help has a text for every option', async (command) => {
  for (const version of VERSIONS) {
    const asked = ['--qemu-version', version, command, '--help', 'x'];
    const { code, stdout, stderr } = await runInMemory(asked);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n')).not.toContain('     ');
  }
});

test('other formats are refused by name, a raw disk is shown', async () => {
  const directory = temporaryDirectory();
  const file = path.join(directory, 'disk');
  const heads = { vmdk: 'KDMV', vhdx: 'vhdxfile', qed: 'QED\0', luks: 'LUKS\xba\xbe' };
  for (const [format, head] of Object.entries(heads)) {
    writeFileSync(file, Buffer.from(head, 'latin1'));
    const { code, stderr } = await runInMemory(['info', file]);
    expect(code).toBe(1);
    expect(stderr).toContain(`the image format '${format}' is not supported`);
  }
  writeFileSync(file, new Uint8Array(1000));
  expect((await runInMemory(['info', file])).stdout).toContain(
    'file format: raw\nvirtual size: 1 KiB (1024 bytes)\n',
  );
});

test('a new snapshot has the time that it was given and an icount of 0', async () => {
  const file = copyFixture('no-snapshots', temporaryDirectory());
  await runInMemory(['snapshot', '-c', byteStringOfText('caf\u00e9'), file]);
  const { stdout } = await runInMemory(['info', '--output=json', file]);
  const { snapshots } = JSON.parse(stdout) as { snapshots: unknown[] };
  expect(snapshots).toEqual([
    {
      id: '1',
      name: 'caf\u00e9',
      icount: 0,
      'vm-state-size': 0,
      'date-sec': 1_700_000_000,
      'date-nsec': 123_456_000,
      'vm-clock-sec': 0,
      'vm-clock-nsec': 0,
    },
  ]);
  await judgedByQemu(async () => {
    expect((await check(file)).code).toBe(0);
  });
});

test('an image that is only read keeps its bytes', async () => {
  const file = copyFixture('version-3', temporaryDirectory());
  await runInMemory(['info', file]);
  await runInMemory(['snapshot', '-l', file]);
  await runInMemory(['snapshot', file]);
  expect(new Uint8Array(readFileSync(file))).toEqual(loadFixture('version-3'));
});
