/** Runs the built program, and ends it as a loss of power would. */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin/qsnap.js', import.meta.url));

/** A program that runs. */
export interface Running {
  readonly process: ChildProcess;
  /** Its exit code, or the signal that ended it, with what it printed. */
  readonly ended: Promise<{ readonly code: number | string; readonly output: string }>;
}

export function start(argv: readonly string[]): Running {
  const child = spawn(process.execPath, [BIN, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<{ code: number | string; output: string }>((resolve) => {
    child.once('close', (code, signal) => {
      resolve({ code: code ?? signal ?? 'unknown', output });
    });
  });
  return { process: child, ended };
}

/** Runs it to its end. @throws Error where it does not end with one of `codes`. */
export async function finish(
  argv: readonly string[],
  codes: readonly number[] = [0],
): Promise<string> {
  const { code, output } = await start(argv).ended;
  if (!codes.includes(Number(code))) {
    throw new Error(`qsnap ${argv.join(' ')} ended with ${code}: ${output}`);
  }
  return output;
}
