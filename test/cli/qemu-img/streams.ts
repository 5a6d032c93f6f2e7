import { run } from '../../../src/cli/qemu-img/run.js';
import { uninterrupted } from '../../../src/cli/interruption.js';

/** What a command line printed and how it ended. */
export interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs qsnap-img in memory. Arguments and output are byte strings. */
export async function runInMemory(
  argv: readonly string[],
  options: {
    readonly isTerminal?: boolean;
    readonly env?: Record<string, string>;
    readonly expectImages?: () => void;
  } = {},
): Promise<Printed> {
  const written = { stdout: '', stderr: '' };
  const output = (name: 'stdout' | 'stderr') => ({
    isTerminal: options.isTerminal ?? false,
    write: (text: string | Uint8Array) => {
      written[name] += Buffer.from(text as Uint8Array).toString('latin1');
    },
  });
  const code = await run(argv, {
    stdout: output('stdout'),
    stderr: output('stderr'),
    env: options.env ?? {},
    program: 'qsnap-img',
    installedVersion: () => Promise.resolve('7.2'),
    interruptible: uninterrupted,
    ...(options.expectImages && { expectImages: options.expectImages }),
    now: () => ({ seconds: 1_700_000_000, nanoseconds: 123_456_000 }),
  });
  return { code, ...written };
}
