/** What all commands share of the command line. */
import { getopt, type Grammar } from './getopt.js';
import type { Behaviour } from '../version/behaviour.js';
import { isJsonOutput, USAGE, wrongOption } from '../messages/usage.js';
import { UsageError } from '../refusal.js';
import { acceptObject, type Secrets } from './option-strings.js';

/** The image that a command names, and how to open it. */
export interface FileRequest {
  readonly operand: string;
  readonly imageOpts: boolean;
  readonly forceShare: boolean;
}

/** What parsing takes from its surroundings. */
export interface ArgvContext {
  /** Options end at the first operand, as POSIX has it. */
  readonly posixlyCorrect: boolean;
  readonly behaviour: Behaviour;
  readonly warn: (text: string) => void;
}

/** The options of one command; `stopAtOperand` is the context's. */
export type CommandGrammar = Omit<Grammar, 'stopAtOperand'>;

export interface GivenOption {
  readonly name: string;
  readonly value: string;
}

/** The options one by one; the first that is wrong is refused when its turn comes. */
export function* optionsOf(
  argv: readonly string[],
  grammar: Grammar,
  behaviour: Behaviour,
): Generator<GivenOption, string[]> {
  const found = getopt(argv, grammar);
  for (;;) {
    const next = found.next();
    if (next.done === true) return next.value;
    const item = next.value;
    if (item.kind === 'option') yield item;
    else throw wrongOption(behaviour, item);
  }
}

/** Names of short options that have a long form too. */
const LONG_NAMES: Readonly<Record<string, string>> = {
  h: 'help',
  f: 'format',
  U: 'force-share',
};

/**
 * Hands each option to `take`, by its long name if it has one. Objects are judged at once, help
 * ends it all.
 *
 * @param argv the command's name and its arguments.
 * @param secrets takes the secrets that are defined, for a command that needs them.
 * @returns the operands, or undefined once help was asked for.
 */
export function eachOption(
  argv: readonly string[],
  grammar: CommandGrammar,
  context: ArgvContext,
  take: (option: GivenOption) => void,
  secrets: Secrets = new Map(),
): string[] | undefined {
  const { posixlyCorrect, behaviour } = context;
  const found = optionsOf(argv, { ...grammar, stopAtOperand: posixlyCorrect }, behaviour);
  for (;;) {
    const next = found.next();
    if (next.done === true) return next.value;
    const { name: typed, value } = next.value;
    const name = LONG_NAMES[typed] ?? typed;
    if (name === 'help') return undefined;
    if (name === 'output' && behaviour.namedOptions) isJsonOutput(value, behaviour);
    if (name === 'object') acceptObject(value, secrets);
    else take({ name, value });
  }
}

/** Takes `--force` out, which qemu-img does not know: written in full, so that shortened options stay what they are. */
export function withoutForce(argv: readonly string[]): { rest: readonly string[]; force: boolean } {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const rest = argv.filter((word, i) => word !== '--force' || i >= end);
  return { rest, force: rest.length < argv.length };
}

export function oneOperand(operands: readonly string[]): string {
  const [operand] = operands;
  if (operand === undefined || operands.length !== 1) throw new UsageError(USAGE.oneFile);
  return operand;
}

/** How the operand is to be opened, by the flags that were given. */
export function fileRequest(
  operand: string,
  flags: { readonly has: (name: string) => boolean },
): FileRequest {
  return {
    operand,
    imageOpts: flags.has('image-opts'),
    forceShare: flags.has('force-share'),
  };
}
