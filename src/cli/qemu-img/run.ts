/** The whole of qsnap-img as a function. */
import { isQsnapError } from '../../index.js';
import { optionsOf, type ArgvContext } from './grammar/argv.js';
import { behaviourOf, versionNamed, type Behaviour, type Version } from './version/behaviour.js';
import { COMMANDS, READING } from './command.js';
import type { Grammar } from './grammar/getopt.js';
import { printerOf, type Printer, type QemuImgStreams } from './disks/io.js';
import { sentenceOf } from './messages.js';
import { helpHint, USAGE } from './messages/usage.js';
import { Refusal, UsageError, type EarlierLine } from './refusal.js';

const MAIN: Grammar = {
  short: { h: false, V: false, T: true },
  long: { help: false, version: false, trace: 'T', 'qemu-version': true },
  stopAtOperand: true,
};

/**
 * Runs one command line.
 *
 * @param argv the arguments after the program's name, as byte strings.
 * @returns the exit code: 0, what the command says, or 1 for what was not done.
 */
export async function run(argv: readonly string[], streams: QemuImgStreams): Promise<number> {
  return new Program(streams).run(argv);
}

class Program {
  readonly #streams: QemuImgStreams;
  readonly #printer: Printer;
  readonly #name: string;
  #behaviour: Behaviour | undefined;
  /** The command that was called, once it is known. */
  #command: string | undefined;

  constructor(streams: QemuImgStreams) {
    this.#streams = streams;
    this.#printer = printerOf(streams);
    this.#name = streams.program;
  }

  async run(argv: readonly string[]): Promise<number> {
    try {
      return await this.#perform(argv);
    } catch (error) {
      if (error instanceof Refusal) {
        this.#tell(error);
        return error.exitCode;
      }
      if (!isQsnapError(error)) throw error;
      this.#printer.warn(sentenceOf(error));
      return 1;
    }
  }

  #tell(refusal: Refusal): void {
    const { printError, warn } = this.#printer;
    const earlier = (line: EarlierLine): void => {
      if (typeof line === 'string') printError(line);
      else warn(line.named);
    };
    for (const line of refusal.before) earlier(line);
    if (!(refusal instanceof UsageError)) {
      warn(refusal.text);
      return;
    }
    const behaviour = this.#behaviour!;
    const words = [this.#name];
    if (behaviour.namedOptions && this.#command !== undefined) words.push(this.#command);
    const before = refusal.namesCommand ? words.join(' ') : this.#name;
    printError(`${before}: ${refusal.text}\n${helpHint(behaviour, words)}\n`);
  }

  async #perform(argv: readonly string[]): Promise<number> {
    const { env } = this.#streams;
    const named = env['QSNAP_QEMU_VERSION'];
    let behaviour = behaviourOf(
      named === undefined || named === ''
        ? await this.#streams.installedVersion()
        : this.#version(named),
    );
    this.#behaviour = behaviour;
    const found = optionsOf([this.#name, ...argv], MAIN, behaviour);
    for (;;) {
      const next = found.next();
      if (next.done === true) return this.#runCommand(next.value, argv.length > 0, behaviour);
      const { name, value } = next.value;
      if (name === 'h' || name === 'help') {
        return this.#print((await import('./grammar/help.js')).helpText(this.#name, behaviour));
      }
      if (name === 'V' || name === 'version') {
        return this.#print((await import('./grammar/help.js')).versionText(behaviour));
      }
      if (name === 'qemu-version') this.#behaviour = behaviour = behaviourOf(this.#version(value));
      else this.#printer.warn(`warning: tracing is not supported, '${value}' is ignored`);
    }
  }

  #version(text: string): Version {
    const version = versionNamed(text);
    if (version === undefined) throw new Refusal(USAGE.unknownVersion(text));
    return version;
  }

  async #runCommand(
    operands: readonly string[],
    hadArguments: boolean,
    behaviour: Behaviour,
  ): Promise<number> {
    const [name] = operands;
    if (name === undefined) {
      if (hadArguments && !behaviour.namedOptions) return 0;
      throw new UsageError(USAGE.noCommand);
    }
    if (!Object.hasOwn(COMMANDS, name)) throw new UsageError(USAGE.unknownCommand(name));
    this.#command = name;
    if (READING.has(name)) this.#printer.expectImages();
    const parse = await COMMANDS[name]!();
    const context: ArgvContext = {
      posixlyCorrect: this.#streams.env['POSIXLY_CORRECT'] !== undefined,
      behaviour,
      warn: this.#printer.warn,
    };
    const command = parse(operands, context);
    if (command === undefined) {
      return this.#print(
        (await import('./grammar/help.js')).commandHelp(this.#name, name, behaviour),
      );
    }
    return command({ ...this.#printer, behaviour });
  }

  #print(text: string): number {
    this.#printer.printLines([text]);
    return 0;
  }
}
