/** The command line as a request. */
import { getopt, type Grammar } from './getopt.js';
import { USAGE, usageError } from './messages.js';
import { acceptObject } from './option-strings.js';
import { Refusal } from './refusal.js';

export type SnapshotAction =
  | { readonly kind: 'none' | 'list' }
  | { readonly kind: 'create' | 'apply' | 'delete'; readonly name: string };

interface FileRequest {
  readonly operand: string;
  readonly imageOpts: boolean;
  readonly forceShare: boolean;
}

export interface SnapshotRequest extends FileRequest {
  readonly kind: 'snapshot';
  readonly action: SnapshotAction;
}

export interface InfoRequest extends FileRequest {
  readonly kind: 'info';
  readonly format: string | undefined;
  readonly json: boolean;
  readonly backingChain: boolean;
}

export type Request =
  SnapshotRequest | InfoRequest | { readonly kind: 'help' | 'version' | 'nothing' };

const MAIN: Grammar = {
  short: { h: false, V: false, T: true },
  long: { help: false, version: false, trace: true },
  stopAtOperand: true,
};
const FILE_LONG = { help: false, object: true, 'image-opts': false, 'force-share': false };
const SNAPSHOT: Omit<Grammar, 'stopAtOperand'> = {
  short: { h: false, l: false, a: true, c: true, d: true, q: false, U: false },
  long: FILE_LONG,
};
const INFO: Omit<Grammar, 'stopAtOperand'> = {
  short: { h: false, f: true, U: false },
  long: { ...FILE_LONG, format: true, output: true, 'backing-chain': false },
};

const UNSUPPORTED_COMMANDS: ReadonlySet<string> = new Set([
  'amend',
  'bench',
  'bitmap',
  'check',
  'commit',
  'compare',
  'convert',
  'create',
  'dd',
  'map',
  'measure',
  'rebase',
  'resize',
]);

/** What parsing takes from its surroundings. */
export interface ArgvContext {
  /** Options end at the first operand, as POSIX has it. */
  readonly posixlyCorrect: boolean;
  readonly warn: (text: string) => void;
}

/**
 * Parses the arguments after the program's name; byte strings.
 *
 * @throws Refusal for wrong usage, in QEMU's words.
 */
export function parseArguments(argv: readonly string[], context: ArgvContext): Request {
  const found = optionsOf(['qsnap-img', ...argv], MAIN);
  for (;;) {
    const next = found.next();
    if (next.done === true) return parseCommand(next.value, argv.length > 0, context);
    const { name, value } = next.value;
    if (name === 'h' || name === 'help') return { kind: 'help' };
    if (name === 'V' || name === 'version') return { kind: 'version' };
    context.warn(`warning: tracing is not supported, '${value}' is ignored`);
  }
}

function parseCommand(
  operands: readonly string[],
  hadArguments: boolean,
  context: ArgvContext,
): Request {
  const [command] = operands;
  const stopAtOperand = context.posixlyCorrect;
  switch (command) {
    case undefined:
      if (hadArguments) return { kind: 'nothing' };
      throw usageError(USAGE.noCommand);
    case 'snapshot':
      return parseSnapshot(operands, { ...SNAPSHOT, stopAtOperand });
    case 'info':
      return parseInfo(operands, { ...INFO, stopAtOperand });
    default:
      if (UNSUPPORTED_COMMANDS.has(command)) {
        throw new Refusal(USAGE.unsupportedCommand(command));
      }
      throw usageError(USAGE.unknownCommand(command));
  }
}

interface Option {
  readonly name: string;
  readonly value: string;
}

/** The options one by one; the first that is wrong is refused when its turn comes. */
function* optionsOf(argv: readonly string[], grammar: Grammar): Generator<Option, string[]> {
  const found = getopt(argv, grammar);
  for (;;) {
    const next = found.next();
    if (next.done === true) return next.value;
    const item = next.value;
    if (item.kind === 'option') yield item;
    else if (item.kind === 'missing-value') throw usageError(USAGE.missingValue(item.argument));
    else throw usageError(USAGE.unrecognized(item.argument));
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
 * @returns the operands, or undefined once help was asked for.
 */
function eachOption(
  argv: readonly string[],
  grammar: Grammar,
  take: (option: Option) => void,
): string[] | undefined {
  const ids = new Set<string>();
  const found = optionsOf(argv, grammar);
  for (;;) {
    const next = found.next();
    if (next.done === true) return next.value;
    const { name: typed, value } = next.value;
    const name = LONG_NAMES[typed] ?? typed;
    if (name === 'help') return undefined;
    if (name === 'object') acceptObject(value, ids);
    else take({ name, value });
  }
}

function oneOperand(operands: readonly string[]): string {
  const [operand] = operands;
  if (operand === undefined || operands.length !== 1) throw usageError(USAGE.oneFile);
  return operand;
}

const ACTIONS: Readonly<Record<string, 'apply' | 'create' | 'delete' | 'list'>> = {
  a: 'apply',
  c: 'create',
  d: 'delete',
  l: 'list',
};

function parseSnapshot(argv: readonly string[], grammar: Grammar): Request {
  const actions: SnapshotAction[] = [];
  const flags = new Set<string>();
  const operands = eachOption(argv, grammar, ({ name, value }) => {
    const kind = ACTIONS[name];
    if (kind === undefined) flags.add(name);
    else if (actions.length > 0) throw usageError(USAGE.mixedActions);
    else actions.push(kind === 'list' ? { kind } : { kind, name: value });
  });
  if (operands === undefined) return { kind: 'help' };
  return {
    kind: 'snapshot',
    ...fileRequest(oneOperand(operands), flags),
    action: actions[0] ?? { kind: 'none' },
  };
}

function parseInfo(argv: readonly string[], grammar: Grammar): Request {
  const values = new Map<string, string>();
  const operands = eachOption(argv, grammar, ({ name, value }) => values.set(name, value));
  if (operands === undefined) return { kind: 'help' };
  const file = fileRequest(oneOperand(operands), values);
  const format = values.get('format');
  const output = values.get('output') ?? 'human';
  if (output !== 'json' && output !== 'human') throw new Refusal(USAGE.outputFormat);
  if (file.imageOpts && format !== undefined) throw new Refusal(USAGE.imageOptsAndFormat);
  return {
    kind: 'info',
    ...file,
    format,
    json: output === 'json',
    backingChain: values.has('backing-chain'),
  };
}

function fileRequest(
  operand: string,
  flags: { readonly has: (name: string) => boolean },
): FileRequest {
  return {
    operand,
    imageOpts: flags.has('image-opts'),
    forceShare: flags.has('force-share'),
  };
}
