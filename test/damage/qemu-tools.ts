/** QEMU's tools with a time limit, for images of which nobody knows what they do to them. */
import { readFileSync, statSync } from 'node:fs';
import { runProgram, type Ended } from '../support/tool-shell.js';

const SECONDS = '30';
/** Codes from here on are `timeout`'s own, a shell's or a signal's. */
const NO_VERDICT = 124;

export interface ToolRun {
  readonly code: number;
  readonly output: string;
  /** Whether it neither ended by itself nor in time. */
  readonly isLost: boolean;
}

export async function runLimited(program: string, args: readonly string[]): Promise<ToolRun> {
  const ended: Ended = await runProgram({
    program: 'timeout',
    args: ['-k', '1', SECONDS, program, ...args],
    env: { LC_ALL: 'C', TZ: 'UTC' },
  });
  const output = `${ended.stdout.toString('latin1')}${ended.stderr.toString('latin1')}`;
  return { code: ended.code, output, isLost: ended.code >= NO_VERDICT };
}

/** @throws Error where the tool does not end with 0: for what has to work. */
export async function runSurely(program: string, args: readonly string[]): Promise<void> {
  const { code, output } = await runLimited(program, args);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}\n${output}`);
}

const LARGEST_BYTES = 2 ** 28;

/** The file that a tool left; undefined where it has grown past all measure. */
export function readLeft(path: string): Uint8Array | undefined {
  return statSync(path).size > LARGEST_BYTES ? undefined : new Uint8Array(readFileSync(path));
}
