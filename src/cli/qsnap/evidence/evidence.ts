/** `--evidence FILE`: a record of what a command read, and that it left it as it was. docs/schema/evidence.json. */
import { printableText } from '../../../internal.js';
import { newSha256 } from '../../../node/index.js';
import { EXIT_CODES, type ExitCode } from '../../exit-codes.js';
import { startProgress } from '../../progress.js';
import type { CliStreams } from '../../streams.js';
import { VERSION } from '../../version.js';
import { contextOf, type Context } from '../context.js';
import { reportFailure } from '../report.js';
import { newTextFile, type NewTextFile } from '../text-file.js';
import { stateOfSource, type SourceState } from './source-state.js';
import { tallied } from './tallied-output.js';

/** A command whose record is asked for. */
export interface RecordedCommand {
  /** Where the record goes. */
  readonly file: string;
  /** The images that it reads, as they are named. */
  readonly sources: readonly string[];
  readonly quiet: boolean;
}

/** Makes the record of one command. */
export class Evidence {
  /** For the command: what it prints is counted and hashed. */
  readonly io: CliStreams;
  readonly #argv: readonly string[];
  readonly #context: Context;
  readonly #stdout: ReturnType<typeof tallied>;
  readonly #stderr: ReturnType<typeof tallied>;
  #begun:
    | {
        readonly command: RecordedCommand;
        readonly at: Date;
        readonly file: NewTextFile;
        readonly before: readonly SourceState[];
      }
    | undefined;

  constructor(argv: readonly string[], io: CliStreams) {
    this.#argv = argv;
    this.#context = contextOf(io, { color: !argv.includes('--no-color') });
    this.#stdout = tallied(io.stdout);
    this.#stderr = tallied(io.stderr);
    this.io = Object.create(io, {
      stdout: { value: this.#stdout.output },
      stderr: { value: this.#stderr.output },
    }) as CliStreams;
  }

  /**
   * Looks at the sources before the command does.
   *
   * @throws QsnapError where the record could not be written.
   */
  async begin(command: RecordedCommand): Promise<void> {
    const at = this.#context.io.now();
    const file = await newTextFile(command.file, {});
    this.#begun = { command, at, file, before: await this.#statesOf(command) };
  }

  /** Looks at them again, and writes the record. @returns the code of the command, or why there is no record of it. */
  async end(code: ExitCode): Promise<ExitCode> {
    if (this.#begun === undefined) return code;
    const { command, at, file, before } = this.#begun;
    try {
      const after = await this.#statesOf(command);
      const sources = before.map((state, i) => sourceJson(command.sources[i]!, state, after[i]!));
      const isUnchanged = sources.every((one) => one['is-unchanged'] !== false);
      const record = {
        'evidence-version': 1,
        qsnap: VERSION,
        runtime: `${process.release.name} ${process.version}`,
        platform: `${process.platform} ${process.arch}`,
        arguments: this.#argv.map(printableText),
        directory: printableText(process.cwd()),
        started: at.toISOString(),
        ended: this.#context.io.now().toISOString(),
        sources,
        'exit-code': code,
        stdout: this.#stdout.tally(),
        stderr: this.#stderr.tally(),
      };
      await file.write({ ...record, sha256: digestOf(record) });
      if (isUnchanged) return code;
      this.#context.io.stderr.write(
        'qsnap: what was read was changed by another program meanwhile\n',
      );
    } catch (error) {
      reportFailure(error, command.file, 'read', this.#context);
    } finally {
      await file.discard();
    }
    return code === EXIT_CODES.done.code ? EXIT_CODES.notDone.code : code;
  }

  /** Takes back a record that is not written. */
  async discard(): Promise<void> {
    await this.#begun?.file.discard();
  }

  async #statesOf({ sources, quiet }: RecordedCommand): Promise<readonly SourceState[]> {
    const progress = startProgress(this.#context.io.stderr, !quiet);
    try {
      const states: SourceState[] = [];
      for (const source of sources) {
        progress.phase(`hashing ${source}`);
        states.push(await stateOfSource(source));
      }
      return states;
    } finally {
      progress.stop();
    }
  }
}

function sourceJson(
  name: string,
  { path, ...before }: SourceState,
  { path: _, ...after }: SourceState,
): Record<string, unknown> {
  const isKnown = before.sha256 !== undefined;
  return {
    filename: printableText(name),
    path,
    before,
    after,
    ...(isKnown && { 'is-unchanged': JSON.stringify(before) === JSON.stringify(after) }),
  };
}

/** Of the record as JSON without spaces, before this digest is added. */
function digestOf(record: object): string {
  const hasher = newSha256();
  hasher.update(new TextEncoder().encode(JSON.stringify(record)));
  return hasher.digest();
}
