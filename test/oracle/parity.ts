/** The same command line given to qemu-img and to qsnap-img, and what came of it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { run } from '../../src/cli/qemu-img/run.js';
import {
  behaviourOf,
  versionPrinted,
  type Behaviour,
  type Version,
} from '../../src/cli/qemu-img/version/behaviour.js';
import { byteStringOfText } from '../../src/cli/qemu-img/grammar/bytes.js';
import type { QemuImgStreams } from '../../src/cli/qemu-img/disks/io.js';
import { runProgram } from '../support/tool-shell.js';
import { uninterrupted } from '../../src/cli/interruption.js';

/** What a command printed and how it ended. Byte strings: names need not be UTF-8. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Of both tools. */
export interface Pair {
  readonly qemu: Outcome;
  readonly ours: Outcome;
}

/** The tool to be equal to: the installed one, or `QSNAP_QEMU_IMG`. */
export const QEMU_IMG = process.env['QSNAP_QEMU_IMG'] ?? 'qemu-img';

/** The version whose behaviour is expected: that of the tool. */
export function qemuVersion(): Version {
  version ??= toldVersion();
  return version;
}

let version: Version | undefined;

function toldVersion(): Version {
  const { stdout, error } = spawnSync(QEMU_IMG, ['--version'], { encoding: 'utf8' });
  // Without any QEMU these tests are left out, and say so.
  if (error !== undefined && process.env['QSNAP_QEMU_IMG'] === undefined) return '7.2';
  const told = versionPrinted(stdout ?? '');
  if (told === undefined) throw new Error(`${QEMU_IMG} does not tell its version`);
  return told;
}

/** What that version does. */
export const behaviour = (): Behaviour => behaviourOf(qemuVersion());

const ENV = { LC_ALL: 'C', TZ: 'UTC' };

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs qemu-img, for 20 seconds at most.
 *
 * @throws EndedBySignal where it does not end by itself in that time.
 */
export async function qemuOutcome(
  argv: readonly string[],
  cwd: string,
  options: CommandOptions = {},
): Promise<Outcome> {
  const { code, stdout, stderr } = await runProgram({
    program: 'timeout',
    args: ['--signal=KILL', '20', QEMU_IMG, ...argv],
    cwd,
    env: { ...ENV, ...options.env },
  });
  return { code, stdout: stdout.toString('latin1'), stderr: stderr.toString('latin1') };
}

/** Runs qsnap-img inside this process, in the directory and with the time zone of qemu-img. */
export async function ourOutcome(
  argv: readonly string[],
  cwd: string,
  options: CommandOptions = {},
): Promise<Outcome> {
  const back = process.cwd();
  const zone = process.env['TZ'];
  const env = { ...ENV, ...options.env };
  const written = { stdout: '', stderr: '' };
  const output = (name: 'stdout' | 'stderr') => ({
    isTerminal: false,
    write: (text: string | Uint8Array) => {
      const bytes = typeof text === 'string' ? byteStringOfText(text) : text;
      written[name] += typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('latin1');
    },
  });
  const streams: QemuImgStreams = {
    stdout: output('stdout'),
    stderr: output('stderr'),
    env,
    program: 'qemu-img',
    installedVersion: () => Promise.resolve(qemuVersion()),
    interruptible: uninterrupted,
    now: () => ({ seconds: Math.floor(Date.now() / 1000), nanoseconds: 123_456_000 }),
  };
  process.chdir(cwd);
  process.env['TZ'] = env.TZ;
  try {
    const code = await run(argv.map(byteStringOfText), streams);
    return { code, ...written };
  } finally {
    process.chdir(back);
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
}

/** Runs a command that changes nothing with both tools on the same files. */
export async function readBoth(
  argv: readonly string[],
  cwd: string,
  options: CommandOptions = {},
): Promise<Pair> {
  const qemu = await qemuOutcome(argv, cwd, options);
  const ours = await ourOutcome(argv, cwd, options);
  return { qemu, ours };
}

export interface EditedPair extends Pair {
  /** Folders with what each tool made of the files. */
  readonly qemuDirectory: string;
  readonly ourDirectory: string;
}

/** One file as QEMU made it, and as qsnap did. */
export function madeByBoth(
  pair: Pick<EditedPair, 'qemuDirectory' | 'ourDirectory'>,
  file: string,
): readonly [theirs: string, ours: string] {
  return [path.join(pair.qemuDirectory, file), path.join(pair.ourDirectory, file)];
}

/**
 * Runs a command with both tools, each on files made by `setUp` in a folder of the same name, so
 * that even messages with paths are equal.
 */
export async function editBoth(
  argv: readonly string[],
  parent: string,
  setUp: (directory: string) => void | Promise<void>,
): Promise<EditedPair> {
  const work = path.join(parent, 'work');
  const made = async (name: string, tool: typeof qemuOutcome): Promise<[Outcome, string]> => {
    mkdirSync(work);
    await setUp(work);
    const outcome = await tool(argv, work);
    const kept = path.join(parent, name);
    renameSync(work, kept);
    return [outcome, kept];
  };
  const [qemu, qemuDirectory] = await made('by-qemu', qemuOutcome);
  const [ours, ourDirectory] = await made('by-qsnap', ourOutcome);
  return { qemu, ours, qemuDirectory, ourDirectory };
}
