/** Programs run under strace: their system calls as values, and their death at one of them. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describeUnless } from './left-out.js';

/** Why nothing can be traced here; undefined where it can. */
export function lackOfStrace(): string | undefined {
  const { error, status, stderr } = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'], {
    encoding: 'utf8',
  });
  if (error !== undefined) return 'strace is not installed (Debian: apt install strace)';
  if (status === 0) return undefined;
  const said = stderr.trim().split('\n').join('; ');
  return `strace may not trace here (a container needs --cap-add=SYS_PTRACE): ${said}`;
}

/**
 * `describe` for tests that trace. Without strace they are reported as skipped; where
 * `QSNAP_REQUIRE_STRACE=1` is set they fail.
 */
export function describeWithStrace(name: string, fn: () => void): void {
  describeUnless(lackOfStrace(), 'QSNAP_REQUIRE_STRACE', name, fn);
}

/** Calls that change a file or bring it to the medium. */
export const WRITING_CALLS = [
  ...['write', 'writev', 'pwrite64', 'pwritev', 'pwritev2', 'copy_file_range', 'sendfile'],
  ...['fdatasync', 'fsync', 'sync_file_range', 'ftruncate', 'truncate', 'fallocate'],
];

/** Calls that make, rename and remove files. */
export const NAMING_CALLS = [
  ...['open', 'openat', 'openat2', 'creat', 'rename', 'renameat', 'renameat2'],
  ...['unlink', 'unlinkat', 'link', 'linkat', 'symlink', 'symlinkat'],
];

/** One call, as strace prints it. */
export interface SystemCall {
  readonly name: string;
  readonly thread: number;
  /** The arguments as printed; strings are left out, paths are whole. */
  readonly args: string;
  /** Path of the open file that the first argument is. */
  readonly file: string | undefined;
  readonly result: number;
  /** Lines of the log at which it began and was over: what is over before something begins. */
  readonly began: number;
  readonly over: number;
}

const CALL = /^(\d+) +(\w+)\((.*)$/;
const RESUMED = /^(\d+) +<\.\.\. (\w+) resumed>(.*)$/;
const ENDED = /^(.*)\) += (-?\d+|0x[\da-f]+|\?)/;

/** The calls of a log that `strace -f -y -s 0 -o` has written. */
export function parseCalls(log: string): SystemCall[] {
  const calls: SystemCall[] = [];
  const open = new Map<string, { name: string; args: string; began: number }>();
  for (const [line, text] of log.split('\n').entries()) {
    const resumed = RESUMED.exec(text);
    const begun = resumed === null ? CALL.exec(text) : null;
    if (begun !== null && text.endsWith('<unfinished ...>')) {
      const args = begun[3]!.replace(/ *<unfinished \.\.\.>$/, '');
      open.set(begun[1]!, { name: begun[2]!, args, began: line });
      continue;
    }
    const [, thread, name, rest] = resumed ?? begun ?? [];
    if (thread === undefined || name === undefined || rest === undefined) continue;
    const start = resumed === null ? { name, args: '', began: line } : open.get(thread);
    if (start?.name !== name) continue;
    open.delete(thread);
    const whole = `${start.args}${rest}`;
    const ended = ENDED.exec(whole);
    if (ended === null) continue;
    const args = ended[1]!;
    const file = /^\d+<([^>]*)>/.exec(args)?.[1];
    const times = { began: start.began, over: line };
    calls.push({ name, thread: Number(thread), args, file, result: Number(ended[2]), ...times });
  }
  return calls;
}

/** A stretch of a file that a call writes or gives back. */
export interface CallRange {
  readonly offset: number;
  readonly length: number;
}

/** What a positioned write wrote, or what a hole took. */
export function rangeOf({ name, args, result }: SystemCall): CallRange {
  const numbers = args.split(', ').map(Number);
  if (name === 'fallocate') return { offset: numbers.at(-2)!, length: numbers.at(-1)! };
  return { offset: numbers.at(-1)!, length: result };
}

export interface TraceOptions {
  /** The calls to record; default: all that write. `%file` stands for all with a path. */
  readonly calls?: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Traced {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: readonly SystemCall[];
}

const ENV = { LC_ALL: 'C', TZ: 'UTC' };

/** Runs a program to its end and records its calls, those of all its threads. */
export async function traced(argv: readonly string[], options: TraceOptions = {}): Promise<Traced> {
  const folder = mkdtempSync(path.join(tmpdir(), 'qsnap-strace-'));
  const log = path.join(folder, 'log');
  const names = (options.calls ?? WRITING_CALLS).join(',');
  try {
    const args = ['-f', '-y', '-s', '0', '-o', log, '-e', `trace=${names}`, '-e', 'signal=none'];
    const env = { ...process.env, ...ENV, ...options.env };
    const child = spawn('strace', [...args, '--', ...argv], {
      env,
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [code, stdout, stderr] = await Promise.all([
      new Promise<number | null>((resolve) => child.once('close', resolve)),
      textOf(child.stdout),
      textOf(child.stderr),
    ]);
    return { code, stdout, stderr, calls: parseCalls(readFileSync(log, 'latin1')) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

/** What strace does to a program's calls. */
export interface Injection {
  readonly calls: readonly string[];
  /** Only calls on these files count. */
  readonly files: readonly string[];
  /** As strace has it: `signal=KILL:when=3`, `delay_enter=5000`. */
  readonly what: string;
}

/** The argument vector that runs a program as our own child, with strace beside it. */
export function injected(argv: readonly string[], injection: Injection): string[] {
  const names = injection.calls.join(',');
  const files = injection.files.flatMap((file) => ['-P', file]);
  const trace = ['-e', `trace=${names}`, '-e', `inject=${names}:${injection.what}`];
  return ['strace', '-D', '-f', '-o', '/dev/null', ...files, ...trace, '--', ...argv];
}
