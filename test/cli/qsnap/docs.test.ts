/** docs/cli.md: every output that it prints is what the commands print, in the order of the page. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { COMPARE_EXIT_CODES, EXIT_CODES } from '../../../src/cli/exit-codes.js';
import { REPAIR_SENTENCES, STATE_SENTENCES } from '../../../src/cli/qsnap/report.js';
import { loadFixture } from '../../support/fixture.js';
import { temporaryDirectory } from '../../support/directories.js';
import { layoutOf } from '../../support/image-builder.js';
import { deletedUnpunched } from '../../support/unpunched.js';
import { expectSound, qsnap } from './harness.js';

const PAGE = fileURLToPath(new URL('../../../docs/cli.md', import.meta.url));
const home = process.cwd();
afterAll(() => {
  process.chdir(home);
});

/** Splits a command line as a shell does, as far as the page needs it. */
function words(line: string): string[] {
  const found = line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g);
  return [...found].map(([, single, double, bare]) => single ?? double ?? bare!);
}

/** What depends on the file system stays as the page has it. */
function settled(output: string, page: string): string {
  const taken = /taken on the host +.*/;
  return output
    .replace(taken, taken.exec(page)![0])
    .replace(/^(Gave .* back to the host.*|The host could take nothing back.*)\n/m, '');
}

/** A console block with each command followed by what it prints now. */
async function replayed(block: string, page: string): Promise<string> {
  const commands = block.split('\n').filter((line) => line.startsWith('$ '));
  let text = '';
  for (const command of commands) {
    const [program, ...argv] = words(command.slice(2));
    expect(program).toBe('qsnap');
    const { stdout, stderr } = await qsnap(argv);
    text += `${command}\n${settled(stdout + stderr, page)}`;
  }
  return text;
}

/** The disk of a machine, and its NVRAM. */
function writeGroup(): void {
  writeFileSync('vm.qcow2', loadFixture('no-snapshots'));
  writeFileSync('nvram.qcow2', loadFixture('cluster-512'));
}

/** A medium lost the sector that the active L1 table lies in. */
function withoutActiveL1(bytes: Uint8Array): Uint8Array {
  const { l1At } = layoutOf(bytes);
  return bytes.slice().fill(0, l1At, l1At + 512);
}

test('the page prints what the commands print', async () => {
  const page = readFileSync(PAGE, 'utf8');
  process.chdir(temporaryDirectory());
  writeFileSync('disk.qcow2', loadFixture('five-snapshots'));
  writeFileSync('saved.qcow2', loadFixture('vm-state'));
  writeFileSync('branches.qcow2', loadFixture('applied-and-deleted'));
  writeFileSync('leaking.qcow2', loadFixture('refcount-leaks'));
  writeFileSync('damaged.qcow2', loadFixture('refcount-too-low'));
  const kept = await deletedUnpunched(loadFixture('five-snapshots'), 'release candidate');
  writeFileSync('emptied.qcow2', kept);
  writeFileSync('lost.qcow2', withoutActiveL1(loadFixture('five-snapshots')));
  writeGroup();
  let rendered = '';
  for (const part of page.split(/(?<=```console\n)([^]*?)(?=```\n)/)) {
    rendered += part.startsWith('$ ') ? await replayed(part, page) : part;
  }
  await expect(rendered).toMatchFileSnapshot(PAGE);
  for (const image of ['disk.qcow2', 'saved.qcow2', 'leaking.qcow2', 'vm.qcow2', 'nvram.qcow2']) {
    await expectSound(image);
  }
});

test('the page has the tables of what is said after a failed edit and a failed repair', () => {
  const page = readFileSync(PAGE, 'utf8');
  const rows = [...page.matchAll(/^\| `([\w-]+)` +\| (The image .+?) +\|$/gm)];
  const lines = rows.map(([, state, line]) => [state, line] as const);
  expect(lines).toEqual([STATE_SENTENCES, REPAIR_SENTENCES].flatMap((one) => Object.entries(one)));
});

test('the page has the table of exit codes', () => {
  const page = readFileSync(PAGE, 'utf8');
  const rows = [...page.matchAll(/^\| (\d+) +\| (.+?) +\|$/gm)];
  expect(rows.map(([, code, meaning]) => ({ code: Number(code), meaning }))).toEqual([
    ...Object.values(EXIT_CODES),
    ...Object.values(COMPARE_EXIT_CODES),
  ]);
});

// Snapshots were deleted before they were exported and compared.
test('the list of commands in README.md works in its order', async () => {
  const readme = readFileSync(
    fileURLToPath(new URL('../../../README.md', import.meta.url)),
    'utf8',
  );
  const [list] = /^qsnap list [^`]*/m.exec(readme)!;
  const bytes = loadFixture('five-snapshots');
  process.chdir(temporaryDirectory());
  writeFileSync('disk.qcow2', bytes);
  writeFileSync('cut.qcow2', bytes.subarray(0, bytes.length / 2));
  writeFileSync('saved.qcow2', loadFixture('vm-state'));
  writeGroup();
  const commands = list.trim().split('\n');
  expect(commands.length).toBeGreaterThan(10);
  for (const command of commands) {
    const [program, ...argv] = words(command.replace(/ +#.*/, ''));
    expect(program).toBe('qsnap');
    const { code, stderr } = await qsnap(argv);
    if (argv.includes('cut.qcow2')) {
      // Not all of it can be brought back, and the exit code says so.
      expect(existsSync(argv[argv.indexOf('-o') + 1]!), command).toBe(true);
      continue;
    }
    const failed = ['compare', 'diff'].includes(argv[0]!)
      ? COMPARE_EXIT_CODES.notCompared
      : EXIT_CODES.notDone;
    expect(code, `${command}: ${stderr}`).not.toBe(failed.code);
  }
  for (const image of ['disk.qcow2', 'vm.qcow2', 'nvram.qcow2']) await expectSound(image);
});
