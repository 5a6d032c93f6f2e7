/**
 * The grammar of the C library's getopt_long, which qemu-img's command line follows: bundled short
 * options, values attached or apart, long options cut to any unique beginning, options after
 * operands, `--`.
 */
export interface Grammar {
  /** Short options; true for those that take a value. */
  readonly short: Readonly<Record<string, boolean>>;
  /** Long options; true for those that take a value, the name of another option for those that stand for it. */
  readonly long: Readonly<Record<string, boolean | string>>;
  /** Options end at the first operand. */
  readonly stopAtOperand: boolean;
}

export type Found =
  | { readonly kind: 'option'; readonly name: string; readonly value: string }
  | {
      readonly kind: 'unrecognized' | 'missing-value' | 'unwanted-value' | 'ambiguous';
      /** The last argument that was taken. */
      readonly argument: string;
      /** The letter, or the long option; with its value where the name is not known. */
      readonly option: string;
      /** Long names that begin so, where it is ambiguous. */
      readonly candidates: readonly string[];
    };

/**
 * Yields what it finds, from left to right; returns the operands. An option's name is the letter
 * or the full long name.
 *
 * @param argv the first element is the program or the command.
 */
export function* getopt(argv: readonly string[], grammar: Grammar): Generator<Found, string[]> {
  const args = [...argv];
  const operands = new OperandRange();
  let at = 1;
  while (at < args.length) {
    if (!grammar.stopAtOperand) at = operands.skipFrom(args, at);
    const argument = args[at];
    if (argument === undefined || !isOption(argument)) break;
    if (argument === '--') {
      operands.moveBehind(args, at, at + 1);
      return [...operands.of(args), ...args.slice(at + 1)];
    }
    at = yield* argument.startsWith('--')
      ? longOption(args, at, grammar)
      : shortOptions(args, at, grammar);
  }
  return grammar.stopAtOperand ? args.slice(at) : [...operands.of(args)];
}

function isOption(argument: string): boolean {
  return argument.length > 1 && argument.startsWith('-');
}

/**
 * The operands passed over so far. The C library moves them behind the options that follow, which
 * shows in messages: they name the argument before the one that is being read.
 */
class OperandRange {
  private from = 1;
  private end = 1;

  /** The first option at or after `at`; operands before it are passed over. */
  skipFrom(args: string[], at: number): number {
    this.moveBehind(args, this.end, at);
    let next = at;
    while (next < args.length && !isOption(args[next]!)) next += 1;
    this.end = next;
    return next;
  }

  /** Moves the operands behind the arguments from `optionsAt` up to `end`. */
  moveBehind(args: string[], optionsAt: number, end: number): void {
    if (this.from === this.end) {
      this.from = this.end = end;
      return;
    }
    const options = args.slice(optionsAt, end);
    args.splice(optionsAt, options.length);
    args.splice(this.from, 0, ...options);
    this.from += options.length;
    this.end += options.length;
  }

  of(args: readonly string[]): readonly string[] {
    return args.slice(this.from, this.end);
  }
}

function* shortOptions(
  args: readonly string[],
  at: number,
  grammar: Grammar,
): Generator<Found, number> {
  const bundle = args[at]!;
  for (let i = 1; i < bundle.length; i++) {
    const name = bundle[i]!;
    const isLast = i + 1 === bundle.length;
    const takesValue = Object.hasOwn(grammar.short, name) ? grammar.short[name] : undefined;
    if (takesValue === undefined) {
      yield wrong('unrecognized', args[isLast ? at : at - 1]!, name);
    } else if (!takesValue) {
      yield { kind: 'option', name, value: '' };
    } else if (!isLast) {
      yield { kind: 'option', name, value: bundle.slice(i + 1) };
      return at + 1;
    } else if (at + 1 < args.length) {
      yield { kind: 'option', name, value: args[at + 1]! };
      return at + 2;
    } else {
      yield wrong('missing-value', bundle, name);
    }
  }
  return at + 1;
}

function* longOption(
  args: readonly string[],
  at: number,
  grammar: Grammar,
): Generator<Found, number> {
  const argument = args[at]!;
  const equals = argument.indexOf('=');
  const typed = argument.slice(2, equals === -1 ? undefined : equals);
  const candidates = Object.keys(grammar.long).filter((name) => name.startsWith(typed));
  const name = candidates.length === 1 ? candidates[0]! : candidates.find((one) => one === typed);
  if (name === undefined) {
    const kind = candidates.length > 1 ? 'ambiguous' : 'unrecognized';
    yield wrong(kind, argument, argument, candidates);
    return at + 1;
  }
  const known = grammar.long[name]!;
  const stands = typeof known === 'string' ? known : name;
  const takesValue = (grammar.short[stands] ?? grammar.long[stands]) === true;
  const option = { kind: 'option', name: stands } as const;
  if (!takesValue) {
    if (equals === -1) yield { ...option, value: '' };
    else yield wrong('unwanted-value', argument, `--${name}`);
    return at + 1;
  }
  if (equals !== -1) {
    yield { ...option, value: argument.slice(equals + 1) };
    return at + 1;
  }
  if (at + 1 === args.length) {
    yield wrong('missing-value', argument, `--${name}`);
    return at + 1;
  }
  yield { ...option, value: args[at + 1]! };
  return at + 2;
}

function wrong(
  kind: Exclude<Found['kind'], 'option'>,
  argument: string,
  option: string,
  candidates: readonly string[] = [],
): Found {
  return { kind, argument, option, candidates };
}
