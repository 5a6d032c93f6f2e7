import { readFile, readFileSync } from 'node:fs';

/** Where a face writes. */
export interface CliOutput {
  write(text: string | Uint8Array): void;
  /**
   * Writes bytes of which there are many: resolves when more may come, rejects when the reader went
   * away. Where it is missing, `write` never has to wait.
   */
  send?(bytes: Uint8Array): Promise<void>;
  /** Whether a person's terminal reads it: only then progress lines and colour. */
  readonly isTerminal: boolean;
}

/** All that a face takes from its process; tests pass their own. */
export interface CliStreams {
  readonly stdout: CliOutput;
  readonly stderr: CliOutput;
  readonly env: Readonly<Record<string, string | undefined>>;
  now(): Date;
  /** To be told that images will be opened: what the system needs time for begins then. */
  expectImages?(): void;
  /** False when the arguments held bytes that are not UTF-8, which Node turns into U+FFFD. */
  argumentsAreExact(): boolean;
}

/** The streams of the running process. A reader that went away (EPIPE) is no error. */
export function processStreams(): CliStreams {
  return {
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    env: process.env,
    now: () => new Date(),
    expectImages: () => {
      // The first to read the list of locks waits 10 to 25 ms for the kernel's other readers; who comes
      // right after, as the look for other users of the image will, does not.
      readFile('/proc/locks', () => undefined);
    },
    argumentsAreExact: () => commandLineIsUtf8(),
  };
}

function outputOf(stream: NodeJS.WriteStream): CliOutput {
  // An edit that is under way goes on to its end even if nobody reads its report.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    write: (text) => {
      stream.write(text);
    },
    send: (bytes) =>
      new Promise((resolve, reject) => {
        stream.write(bytes, (error) => {
          if (error == null) resolve();
          else reject(error);
        });
      }),
    // Node leaves `isTTY` undefined where the stream is a file or a pipe.
    isTerminal: (stream.isTTY as boolean | undefined) === true,
  };
}

/** Looks at the bytes of the command line where the system shows them; elsewhere says no. */
function commandLineIsUtf8(): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(readFileSync('/proc/self/cmdline'));
    return true;
  } catch {
    return false;
  }
}
