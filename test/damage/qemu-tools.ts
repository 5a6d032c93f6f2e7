/** QEMU's tools with a time limit, for images of which nobody knows what they do to them. */
import { readFileSync, statSync } from 'node:fs';
import { EndedBySignal, runProgram, SHELLS_OWN } from '../support/tool-shell.js';

const SECONDS = '30';
/** `timeout` has the program ended by a signal that nothing holds up, and then ends by it itself. */
const LIMITED = ['--signal=KILL', SECONDS];

export interface ToolRun {
  readonly code: number;
  readonly output: string;
  /** Whether it neither ended by itself nor in time. */
  readonly isLost: boolean;
}

export async function runLimited(program: string, args: readonly string[]): Promise<ToolRun> {
  try {
    const { code, stdout, stderr } = await runProgram({
      program: 'timeout',
      args: [...LIMITED, program, ...args],
      env: { LC_ALL: 'C', TZ: 'UTC' },
    });
    const output = `${stdout.toString('latin1')}${stderr.toString('latin1')}`;
    return { code, output, isLost: code >= SHELLS_OWN };
  } catch (error) {
    if (!(error instanceof EndedBySignal)) throw error;
    return { code: SHELLS_OWN, output: error.message, isLost: true };
  }
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
