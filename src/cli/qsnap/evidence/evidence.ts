/** `--evidence FILE`: a record of what a command read, and that it left it as it was. docs/schema/evidence.json. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isQsnapError } from '../../../index.js';
import { printableText } from '../../../internal.js';
import { newSha256 } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { startProgress } from '../../progress.js';
import type { CliStreams } from '../../streams.js';
import { contextOf, type Context } from '../context.js';
import { reportFailure } from '../report.js';
import { newTextFile, type NewTextFile } from '../text-file.js';
import { Sources } from './sources.js';
import { tallied } from './tallied-output.js';

/** What a record is made with besides the arguments. */
export interface EvidenceOptions {
  /** Of qsnap. */
  readonly version: string;
  /** What the command ends with that could not do what was asked for. */
  readonly failureCode: ExitCode;
}

/** Makes the record of one command. */
export class Evidence {
  /** For the command: what it prints is counted and hashed, and what it opens is told. */
  readonly io: CliStreams;
  readonly #argv: readonly string[];
  readonly #options: EvidenceOptions;
  readonly #context: Context;
  readonly #stdout: ReturnType<typeof tallied>;
  readonly #stderr: ReturnType<typeof tallied>;
  readonly #sources = new Sources();
  #begun: { readonly at: Date; readonly name: string; readonly file: NewTextFile } | undefined;

  constructor(argv: readonly string[], io: CliStreams, options: EvidenceOptions) {
    this.#options = options;
    this.#argv = argv;
    const quiet = argv.includes('--quiet') || argv.includes('-q');
    this.#context = contextOf(io, { color: !argv.includes('--no-color'), quiet });
    this.#stdout = tallied(io.stdout);
    this.#stderr = tallied(io.stderr);
    this.io = Object.create(io, {
      stdout: { value: this.#stdout.output },
      stderr: { value: this.#stderr.output },
      willRead: { value: (name: string, path: string) => this.#sources.addOpened(name, path) },
      hasCome: {
        value: (bytes: Uint8Array) => {
          this.#sources.hasCome(bytes);
        },
      },
    }) as CliStreams;
  }

  /**
   * Looks at the images before the command does, where the command asks for a record.
   *
   * @param named images that its arguments name.
   * @throws CommanderError where the record could not be written.
   */
  async begin(command: Command, named: readonly string[]): Promise<void> {
    const { evidence: name, group = [] } = command.opts<{
      readonly evidence?: string;
      readonly group?: readonly string[];
    }>();
    if (name === undefined) return;
    refuseSameFile(command, name);
    const at = this.#context.io.now();
    try {
      this.#begun = { at, name, file: await newTextFile(name, {}) };
      await this.#hash([...named, ...group], command.name() === 'dump');
    } catch (error) {
      if (!isQsnapError(error)) throw error;
      command.error(`error: ${error.message}`, { code: 'qsnap.evidence' });
    }
  }

  /** Looks at them again, and writes the record. @returns the code of the command, or why there is no record of it. */
  async end(code: ExitCode): Promise<ExitCode> {
    if (this.#begun === undefined) return code;
    const { at, name, file } = this.#begun;
    const { version, failureCode } = this.#options;
    const failed = code === EXIT_CODES.done.code ? failureCode : code;
    const { io } = this.#context;
    try {
      const { sources, isUnchanged } = await this.#seenAgain();
      const ended = isUnchanged ? code : failed;
      const record = {
        'evidence-version': 1,
        qsnap: version,
        runtime: `${process.release.name} ${process.version}`,
        platform: `${process.platform} ${process.arch}`,
        arguments: this.#argv.map(printableText),
        directory: printableText(process.cwd()),
        started: at.toISOString(),
        ended: io.now().toISOString(),
        sources,
        // That of the process: what was printed may not have arrived.
        'exit-code': (await io.codeWhenPrinted?.(ended)) ?? ended,
        stdout: this.#stdout.tally(),
        stderr: this.#stderr.tally(),
      };
      await file.write({ ...record, sha256: digestOf(record) });
      if (!isUnchanged) {
        io.stderr.write('qsnap: what was read was changed by another program meanwhile\n');
      }
      return ended;
    } catch (error) {
      reportFailure(error, name, 'read', this.#context);
      return failed;
    } finally {
      await file.discard();
    }
  }

  /** Takes back a record that is not written. */
  async discard(): Promise<void> {
    await this.#begun?.file.discard();
  }

  /** @param takesStdin whether an image called `-` is what comes on stdin. */
  async #hash(locations: readonly string[], takesStdin: boolean): Promise<void> {
    const progress = startProgress(this.#context.io.stderr, !this.#context.quiet);
    try {
      for (const location of locations) {
        progress.phase(`hashing ${location}`);
        if (takesStdin && location === '-') this.#sources.addStdin();
        else await this.#sources.add(location, location);
      }
    } finally {
      progress.stop();
    }
  }

  async #seenAgain(): ReturnType<Sources['seenAgain']> {
    const progress = startProgress(this.#context.io.stderr, !this.#context.quiet);
    try {
      progress.phase('hashing once more');
      return await this.#sources.seenAgain();
    } finally {
      progress.stop();
    }
  }
}

/** What another option names, as `-o` does, is not there yet, and so would be refused as a file that appeared meanwhile. */
function refuseSameFile(command: Command, name: string): void {
  const same = command.options.find((option) => {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (option.attributeName() === 'evidence' || !/<(file|copy)>$/.test(option.flags)) return false;
    return typeof value === 'string' && value !== '-' && resolve(value) === resolve(name);
  });
  if (same === undefined) return;
  command.error(
    `error: '${same.flags}' and '--evidence <file>' name one file: each needs its own`,
    {
      code: 'qsnap.evidence',
    },
  );
}

/** Of the record as JSON without spaces, before this digest is added. */
function digestOf(record: object): string {
  const hasher = newSha256();
  hasher.update(new TextEncoder().encode(JSON.stringify(record)));
  return hasher.digest();
}
