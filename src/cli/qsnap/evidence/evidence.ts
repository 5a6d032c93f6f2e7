/** `--evidence FILE`: a record of what a command read, and that it left it as it was. docs/schema/evidence.json. */
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
import { stateOfSource, type SourceState } from './source-state.js';
import { tallied } from './tallied-output.js';

/** Makes the record of one command. */
export class Evidence {
  /** For the command: what it prints is counted and hashed. */
  readonly io: CliStreams;
  readonly #argv: readonly string[];
  readonly #version: string;
  readonly #context: Context;
  readonly #stdout: ReturnType<typeof tallied>;
  readonly #stderr: ReturnType<typeof tallied>;
  #begun:
    | {
        readonly at: Date;
        readonly name: string;
        readonly file: NewTextFile;
        readonly sources: readonly string[];
        readonly before: readonly SourceState[];
      }
    | undefined;

  /** @param version of qsnap. */
  constructor(argv: readonly string[], io: CliStreams, version: string) {
    this.#version = version;
    this.#argv = argv;
    const quiet = argv.includes('--quiet') || argv.includes('-q');
    this.#context = contextOf(io, { color: !argv.includes('--no-color'), quiet });
    this.#stdout = tallied(io.stdout);
    this.#stderr = tallied(io.stderr);
    this.io = Object.create(io, {
      stdout: { value: this.#stdout.output },
      stderr: { value: this.#stderr.output },
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
    const at = this.#context.io.now();
    try {
      const file = await newTextFile(name, {});
      const sources = [...named, ...group];
      this.#begun = { at, name, file, sources, before: [] };
      this.#begun = { ...this.#begun, before: await this.#statesOf(sources) };
    } catch (error) {
      if (!isQsnapError(error)) throw error;
      command.error(`error: ${error.message}`, { code: 'qsnap.evidence' });
    }
  }

  /** Looks at them again, and writes the record. @returns the code of the command, or why there is no record of it. */
  async end(code: ExitCode): Promise<ExitCode> {
    if (this.#begun === undefined) return code;
    const { at, name, file, sources: named, before } = this.#begun;
    try {
      const after = await this.#statesOf(named);
      const sources = before.map((state, i) => sourceJson(named[i]!, state, after[i]!));
      const isUnchanged = sources.every((one) => one['is-unchanged'] !== false);
      const record = {
        'evidence-version': 1,
        qsnap: this.#version,
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
      reportFailure(error, name, 'read', this.#context);
    } finally {
      await file.discard();
    }
    return code === EXIT_CODES.done.code ? EXIT_CODES.notDone.code : code;
  }

  /** Takes back a record that is not written. */
  async discard(): Promise<void> {
    await this.#begun?.file.discard();
  }

  async #statesOf(sources: readonly string[]): Promise<readonly SourceState[]> {
    const progress = startProgress(this.#context.io.stderr, !this.#context.quiet);
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
