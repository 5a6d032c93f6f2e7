/** What qsnap-img takes from its process, and how it prints. */
import type { SnapshotDate } from '../../../index.js';
import type { Interruptible } from '../../interruption.js';
import type { CliOutput } from '../../streams.js';
import type { Behaviour, Version } from '../version/behaviour.js';
import { byteString, bytesOf, terminalLines, terminalSafe } from '../grammar/bytes.js';

export interface QemuImgStreams {
  /** What the program was called as. */
  readonly program: string;
  /** The version of the qemu-img that is installed, or of the newest one that is known. */
  installedVersion(): Promise<Version>;
  readonly stdout: CliOutput;
  readonly stderr: CliOutput;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The time of a new snapshot, to the microsecond as QEMU has it. */
  now(): SnapshotDate;
  /** To be told that images will be read: what the system needs time for begins then. */
  expectImages?(): void;
  /** Runs work that a signal of the system stops. */
  readonly interruptible: Interruptible;
}

export interface QemuImgIo {
  readonly behaviour: Behaviour;
  readonly now: () => SnapshotDate;
  /** Says that images will be read. */
  readonly expectImages: () => void;
  readonly interruptible: Interruptible;
  /** Prints a byte string to stdout as it is. */
  readonly print: (text: string) => void;
  /** Prints lines to stdout, each with its end. Byte strings. */
  readonly printLines: (lines: readonly string[]) => void;
  /** Prints lines to stderr, as they are or, on a terminal, without control characters. */
  readonly printError: (text: string) => void;
  /** Prints a message to stderr after the program's name. */
  readonly warn: (text: string, end?: string) => void;
  /** A string from the image as stdout may have it: a terminal gets no control characters. */
  readonly show: (text: string) => string;
  /** A string from the image for `printError`: on a terminal it makes no line of its own. */
  readonly tell: (text: string) => string;
}

/** What a process prints with, before it is known which version it follows. */
export type Printer = Omit<QemuImgIo, 'behaviour'>;

export function printerOf(streams: QemuImgStreams): Printer {
  const { program, stdout, stderr } = streams;
  const printError = (text: string) => {
    stderr.write(bytesOf(stderr.isTerminal ? terminalLines(text) : text));
  };
  return {
    now: () => streams.now(),
    expectImages: () => streams.expectImages?.(),
    interruptible: streams.interruptible,
    print: (text) => {
      stdout.write(bytesOf(text));
    },
    printLines: (lines) => {
      if (lines.length > 0) stdout.write(bytesOf(`${lines.join('\n')}\n`));
    },
    printError,
    warn: (text, end = '\n') => {
      printError(`${program}: ${text}${end}`);
    },
    show: stdout.isTerminal ? terminalSafe : (text) => text,
    tell: (text) => (stderr.isTerminal ? text.replaceAll('\n', '\\n') : text),
  };
}

/**
 * The process's own arguments as byte strings. Node decodes them as UTF-8 and loses what is not;
 * the kernel still has the bytes.
 *
 * @param decoded the arguments as Node has them.
 * @param readCommandLine gives /proc/self/cmdline.
 */
export function exactArguments(
  decoded: readonly string[],
  readCommandLine: () => Uint8Array,
): string[] {
  if (!decoded.some((argument) => argument.includes('\ufffd'))) {
    return decoded.map((argument) => byteString(new TextEncoder().encode(argument)));
  }
  // Every argument ends with a zero, the last one too.
  const all = byteString(readCommandLine()).split('\0').slice(0, -1);
  return all.slice(all.length - decoded.length);
}
