/** What a command that reads opens: the named image, for reading, and nothing that the image names. */
import { readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { loadFixture } from '../support/fixture.js';
import { programArgv, settle } from '../support/outside-edits.js';
import { temporaryDirectory } from '../support/directories.js';
import { describeWithQemu, qemuImg } from '../support/qemu.js';
import { describeWithStrace, traced, WRITING_CALLS, type SystemCall } from '../support/strace.js';

const ROOT = realpathSync(fileURLToPath(new URL('../../', import.meta.url)));

/** Where Node, its libraries and what the system tells about itself lie. */
const OF_THE_PROGRAM = [
  ...[ROOT, path.dirname(realpathSync(process.execPath)), realpathSync(`${ROOT}/node_modules`)],
  ...['/usr/', '/lib/', '/lib64/', '/etc/', '/proc/', '/sys/', '/dev/', '/snap/', '/nix/'],
];

/** No call but these opens a file, and io_uring would open it unseen. */
const CALLS = ['%file', 'openat2', 'open_by_handle_at', 'socket', 'io_uring_setup'];
const OPENING = /^(open|openat|openat2|creat|open_by_handle_at|socket|io_uring_setup)$/;
const CHANGING =
  /^(creat|rename|renameat2?|unlink|unlinkat|link|linkat|symlink|symlinkat|mkdir|mkdirat|mknod|mknodat|truncate|chmod|fchmodat|chown|fchownat|utimensat|setxattr|removexattr)$/;

const READS: readonly (readonly ['qsnap' | 'qsnap-img', ...string[]])[] = [
  ['qsnap', 'list', 'IMAGE'],
  ['qsnap', 'info', 'IMAGE'],
  ['qsnap', 'check', 'IMAGE'],
  ['qsnap', 'map', 'IMAGE'],
  ['qsnap', 'create', '--dry-run', 'IMAGE', 'x'],
  ['qsnap', 'repair', '--plan', 'IMAGE'],
  ['qsnap-img', 'info', 'IMAGE'],
  ['qsnap-img', 'check', 'IMAGE'],
  ['qsnap-img', 'snapshot', '-l', 'IMAGE'],
];

const FIXTURES = [
  ...['five-snapshots', 'backing-chain', 'backing-json-name', 'backing-missing', 'data-file'],
  ...['data-file-raw', 'luks', 'names-odd'],
];
const IS_THOROUGH = process.env['QSNAP_THOROUGH'] === '1';

const total = { commands: 0, opens: 0, short: 0 };

/** The first path that a call names, as the kernel takes it. */
function pathOf({ args }: SystemCall, cwd: string): string | undefined {
  const named = /"([^"]*)"/.exec(args)?.[1];
  return named === undefined ? undefined : path.resolve(cwd, named);
}

function shortcomings(calls: readonly SystemCall[], image: string, cwd: string): string[] {
  const folder = path.dirname(image);
  const short: string[] = [];
  for (const call of calls) {
    const shown = `${call.name}(${call.args})`;
    const named = pathOf(call, cwd);
    if (CHANGING.test(call.name)) short.push(shown);
    if (named?.startsWith(`${folder}/`) === true && named !== image) short.push(shown);
    if (!OPENING.test(call.name)) continue;
    total.opens += 1;
    if (named === image) {
      if (!/O_RDONLY/.test(call.args)) short.push(shown);
    } else if (named === undefined || !OF_THE_PROGRAM.some((place) => named.startsWith(place))) {
      short.push(shown);
    } else if (!named.startsWith('/dev/') && /O_WRONLY|O_RDWR|O_CREAT/.test(call.args)) {
      short.push(shown);
    }
  }
  return short;
}

const isWrite = ({ name, file }: SystemCall): boolean =>
  WRITING_CALLS.includes(name) && file?.startsWith('/') === true && !file.startsWith('/dev/');

async function run(
  [program, ...words]: (typeof READS)[number],
  image: string,
): Promise<readonly SystemCall[]> {
  const argv = programArgv(
    program,
    words.map((word) => (word === 'IMAGE' ? image : word)),
  );
  const cwd = path.dirname(image);
  const { calls } = await traced(argv, {
    calls: [...CALLS, ...WRITING_CALLS],
    cwd,
    // Which qemu-img is installed is asked for once, and kept in a file of the user's.
    env: { UV_USE_IO_URING: '0', QSNAP_QEMU_VERSION: '7.2' },
  });
  total.commands += 1;
  return calls;
}

async function expectOnlyImageOpened(
  command: (typeof READS)[number],
  image: string,
): Promise<void> {
  const before = readFileSync(image);
  const calls = await run(command, image);
  const short = shortcomings(calls, image, path.dirname(image));
  short.push(...calls.filter(isWrite).map(({ name, args }) => `${name}(${args})`));
  total.short += short.length;
  expect(short).toEqual([]);
  expect(calls.some((call) => /^open/.test(call.name) && pathOf(call, '/') === image)).toBe(true);
  expect(readFileSync(image).equals(before)).toBe(true);
}

describeWithStrace('H7: a command that reads opens the named image alone', () => {
  const cases = FIXTURES.flatMap((fixture, f) =>
    READS.filter((_, r) => IS_THOROUGH || (r + f) % 6 === 0).map(
      (command) => [fixture, command.join(' '), command] as const,
    ),
  );
  test.each(cases)('%s: %s', async (fixture, _, command) => {
    const { image } = settle(temporaryDirectory(), fixture, loadFixture(fixture));
    await expectOnlyImageOpened(command, image);
  });

  describeWithQemu('also where the image names a file by its whole path', () => {
    test.each(READS.map((command) => [command.join(' '), command] as const))(
      '%s',
      async (_, command) => {
        const secret = path.join(temporaryDirectory(), 'secret.raw');
        await qemuImg(['create', '-q', '-f', 'raw', secret, '1M']);
        const image = path.join(temporaryDirectory(), 'image.qcow2');
        await qemuImg(['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', secret, image]);
        await expectOnlyImageOpened(command, image);
      },
    );
  });

  test('a program that opens another file is seen', async () => {
    const { image, folder } = settle(temporaryDirectory(), 'backing', loadFixture('backing'));
    const calls = await run(['qsnap', 'map', '--backing', 'IMAGE'], image);
    const base = path.join(folder, 'base.raw');
    expect(shortcomings(calls, image, folder).join('\n')).toContain(base);
  });

  test('and one that writes', async () => {
    const { image, folder } = settle(temporaryDirectory(), 'backing', loadFixture('backing'));
    const calls = await run(['qsnap', 'create', 'IMAGE', 'x'], image);
    expect(shortcomings(calls, image, folder).join('\n')).toContain('O_RDWR');
    expect(calls.filter(isWrite).length).toBeGreaterThan(0);
  });

  afterAll(() => {
    console.log(
      `${total.commands} commands that read, ${total.opens} files opened by them and by Node; ` +
        `${total.short} fell short`,
    );
  });
});
