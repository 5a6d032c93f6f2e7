import { closeSync, fstatSync, openSync, read, readFileSync, statSync, writeSync } from 'node:fs';
import { interruptible, signalToDieOf, type Interruptible } from './interruption.js';

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
  /** To be told of a file before it is read, where no argument names it. */
  willRead?(name: string, path: string): Promise<void>;
  /** To be told what comes on stdin as an image. */
  hasCome?(bytes: Uint8Array): void;
  /** The exit code that a command's code becomes, when it is known whether all that was printed arrived. */
  codeWhenPrinted?(code: number): Promise<number>;
  /** To be told that images will be opened: what the system needs time for begins then. */
  expectImages?(): void;
  /** Runs work that a signal of the system stops. */
  readonly interruptible: Interruptible;
  /** Asks a person; undefined where nobody sits at a terminal. */
  readonly ask?: ((question: string) => Promise<string>) | undefined;
  /** False when the arguments held bytes that are not UTF-8, which Node turns into U+FFFD. */
  argumentsAreExact(): boolean;
}

/** The streams of the running process, and how to end it. */
export interface ProcessStreams extends CliStreams {
  /** Ends the process when everything is written. */
  readonly exit: (code: number) => void;
}

/** How a program tells that its output could not be written. */
export interface LostOutput {
  readonly program: string;
  /** The exit code in place of 0: what a command does it does to the end all the same. */
  readonly code: number;
}

/**
 * The streams of the running process. A reader that went away (EPIPE) is no error, and without `lost`
 * nothing is.
 */
export function processStreams(lost?: LostOutput): ProcessStreams {
  let codeOfDone = 0;
  const stderr = new ProcessOutput(2, () => undefined);
  const stdout = new ProcessOutput(1, ({ message }) => {
    if (lost === undefined) return;
    codeOfDone = lost.code;
    // A stream may tell of it after the command's end.
    if (process.exitCode === 0) process.exitCode = lost.code;
    stderr.write(`${lost.program}: can't write to stdout: ${message}\n`);
  });
  return {
    stdout,
    stderr,
    env: process.env,
    now: () => new Date(),
    expectImages: askForLocks,
    codeWhenPrinted: async (code) => {
      await stdout.printed();
      return code === 0 ? codeOfDone : code;
    },
    interruptible,
    get ask() {
      return process.stdin.isTTY && stderr.isTerminal ? ask : undefined;
    },
    argumentsAreExact: () => commandLineIsUtf8(),
    exit: (code) => {
      process.exitCode = code === 0 ? codeOfDone : code;
      const signal = signalToDieOf();
      const die = (): void => {
        if (signal !== undefined) process.kill(process.pid, signal);
        // eslint-disable-next-line no-restricted-syntax -- all output is written
        else process.exit();
      };
      // A stream may have bytes to send yet. Without one, nothing is left but to tidy up memory.
      if (!stdout.usesStream && !stderr.usesStream) die();
      else if (signal !== undefined) process.once('beforeExit', die);
    },
  };
}

async function ask(question: string): Promise<string> {
  const { askOnTerminal } = await import('./ask.js');
  return askOnTerminal(question);
}

/**
 * The first to read the list of locks waits 10 to 25 ms for the kernel's other readers; who comes in the
 * 10 ms after that, as the look for other users of the image will, does not. It is one call, since the
 * event loop has no turn before what the command needs is loaded.
 */
function askForLocks(): void {
  try {
    const fd = openSync('/proc/locks', 'r');
    read(fd, Buffer.alloc(1), 0, 1, 0, () => {
      closeSync(fd);
    });
  } catch {
    // Other systems have no such list.
  }
}

/**
 * Standard output or the standard error output. What Node has for them takes 3 to 9 ms to load, and so
 * is used only where it must be: by terminals, where somebody waits for bytes to be taken, and on
 * systems where writing to a pipe may not wait.
 */
class ProcessOutput implements CliOutput {
  readonly #fd: 1 | 2;
  readonly #onFailure: (error: Error) => void;
  #stream: NodeJS.WriteStream | undefined;
  #isTerminal: boolean | undefined;
  /** Whether nothing that is written would arrive. */
  #isLost = false;

  constructor(fd: 1 | 2, onFailure: (error: Error) => void) {
    this.#fd = fd;
    this.#onFailure = onFailure;
  }

  get usesStream(): boolean {
    return this.#stream !== undefined;
  }

  get isTerminal(): boolean {
    // Node leaves `isTTY` undefined where the stream is a file or a pipe.
    this.#isTerminal ??=
      mayBeTerminal(this.#fd) && (this.#opened().isTTY as boolean | undefined) === true;
    return this.#isTerminal;
  }

  write(text: string | Uint8Array): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    const taken =
      this.#stream === undefined && process.platform !== 'win32' ? this.#take(bytes) : 0;
    if (taken < bytes.length && !this.#isLost) this.#opened().write(bytes.subarray(taken));
  }

  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#opened().write(bytes, (error) => {
        if (error == null) resolve();
        else {
          // Who sent it tells of it.
          this.#isLost = true;
          reject(error);
        }
      });
    });
  }

  /** Resolves when the bytes of a stream were taken, or can't be. */
  async printed(): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined || this.#isLost) return;
    await new Promise<void>((resolve) => {
      // What went wrong is told to `error` after this.
      stream.write('', () => {
        setImmediate(resolve);
      });
    });
  }

  /** How many of the bytes the system took: not all where one would have to wait, or where it failed. */
  #take(bytes: Uint8Array): number {
    let taken = 0;
    try {
      while (taken < bytes.length && !this.#isLost) {
        taken += writeSync(this.#fd, bytes, taken);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#fail(error as Error);
    }
    return taken;
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (this.#isLost) return;
    this.#isLost = true;
    if (error.code !== 'EPIPE') this.#onFailure(error);
  }

  #opened(): NodeJS.WriteStream {
    if (this.#stream === undefined) {
      this.#stream = this.#fd === 1 ? process.stdout : process.stderr;
      this.#stream.on('error', (error: NodeJS.ErrnoException) => {
        this.#fail(error);
      });
    }
    return this.#stream;
  }
}

/** False for files, pipes and /dev/null, without a terminal's module. */
function mayBeTerminal(fd: number): boolean {
  try {
    const status = fstatSync(fd);
    return status.isCharacterDevice() && status.rdev !== statSync('/dev/null').rdev;
  } catch {
    return true;
  }
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
