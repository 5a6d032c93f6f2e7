/**
 * Runs programs from a shell beside this process. To fork takes a time that grows with a process's
 * memory: 10 ms at the 400 MiB of a worker of these tests, and less than one for a shell.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly cwd?: string | undefined;
  /** Added to the environment that this process began with. */
  readonly env: Readonly<Record<string, string>>;
}

export interface Ended {
  /** Exit code, less than 128. */
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** Exit codes from here on are the shell's: the program could not be run. */
export const SHELLS_OWN = 126;
/** The shell adds the number of the signal that ended a program. */
const BY_SIGNAL = 128;

/**
 * A signal ended a program, so that it gave no answer. No test holds an input that does this to a program:
 * it is harm to whoever tries it.
 */
export class EndedBySignal extends Error {
  constructor(program: string, code: number) {
    super(`${program} was ended by signal ${code - BY_SIGNAL}`);
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** What is in a file that nobody needs after this. */
function takeBytes(file: string): Buffer {
  const bytes = readFileSync(file);
  rmSync(file);
  return bytes;
}

class ToolShell {
  /** Where the shell leaves what programs print; it removes the folder when this process is gone. */
  readonly #outputs = mkdtempSync(path.join(tmpdir(), 'qsnap-shell-'));
  readonly #shell = spawn('sh', ['-s', this.#outputs], { stdio: ['pipe', 'pipe', 'inherit'] });
  readonly #waiting = new Map<number, (code: number) => void>();
  #commands = 0;

  constructor() {
    this.#shell.stdin.write(`trap 'rm -rf "$1"' EXIT; trap exit HUP INT TERM\n`);
    createInterface({ input: this.#shell.stdout }).on('line', (line) => {
      const [id, code] = line.split(' ').map(Number);
      this.#waiting.get(id!)!(code!);
      this.#waiting.delete(id!);
    });
  }

  end(): void {
    this.#shell.stdin.end();
  }

  run({ program, args, cwd = process.cwd(), env }: Command): Promise<Ended> {
    const id = this.#commands++;
    const output = path.join(this.#outputs, String(id));
    const variables = Object.entries(env).map(([name, value]) => `${name}=${quoted(value)}`);
    const command = [...variables, ...[program, ...args].map(quoted)].join(' ');
    const there = `if cd ${quoted(cwd)}; then ${command}; else (exit ${SHELLS_OWN}); fi`;
    const [stdout, stderr] = [`${output}.out`, `${output}.err`];
    const redirected = `</dev/null >${quoted(stdout)} 2>${quoted(stderr)}`;
    // To be asked for its jobs makes the shell take leave of those that ended: they were zombies until its own end.
    const reaped = 'jobs >/dev/null';
    this.#shell.stdin.write(`${reaped}; { { ${there}; } ${redirected}; echo ${id} $?; } &\n`);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, (code) => {
        const ended = { code, stdout: takeBytes(stdout), stderr: takeBytes(stderr) };
        if (code > BY_SIGNAL) reject(new EndedBySignal(program, code));
        else resolve(ended);
      });
    });
  }
}

let shell: ToolShell | undefined;

/**
 * Runs a program without input to its end. Programs may run side by side.
 *
 * @throws EndedBySignal where it does not end by itself.
 */
export function runProgram(command: Command): Promise<Ended> {
  shell ??= new ToolShell();
  return shell.run(command);
}

/** For programs that end when nothing waits: the shell would keep them. Tests end without it. */
export function endToolShell(): void {
  shell?.end();
  shell = undefined;
}
