/** The command line of `dd`. */
import { eachOption, type ArgvContext } from '../grammar/argv.js';
import { grammarOf } from '../grammar/command-options.js';
import { DD } from '../messages/dd.js';
import { BYTE_COUNT } from '../messages.js';
import type { Secrets } from '../grammar/option-strings.js';
import { Refusal } from '../refusal.js';
import { byteCountOf, parseSizeArgument } from '../grammar/size-argument.js';

export interface DdRequest {
  readonly input: string;
  readonly output: string;
  readonly format: string | undefined;
  readonly outputFormat: string;
  readonly imageOpts: boolean;
  readonly forceShare: boolean;
  readonly secrets: Secrets;
  readonly blockBytes: bigint;
  /** In blocks from the start of the disk; undefined: up to its end. */
  readonly count: bigint | undefined;
  /** In blocks; they count as copied. */
  readonly skip: bigint;
}

const DEFAULT_BLOCK_BYTES = 512n;
const MAX_BLOCK_BYTES = 2_147_483_647n;

/**
 * @returns undefined when help was asked for.
 * @throws Refusal for wrong usage, in the order in which QEMU looks at it.
 */
export function parseDdArguments(
  argv: readonly string[],
  context: ArgvContext,
): DdRequest | undefined {
  const values = new Map<string, string>();
  const secrets: Secrets = new Map();
  const operands = eachOption(
    argv,
    grammarOf('dd', context.behaviour),
    context,
    ({ name, value }) => {
      values.set(name, value);
    },
    secrets,
  );
  if (operands === undefined) return undefined;
  const files = new Map<string, string>();
  const numbers = new Map<string, bigint>();
  for (const operand of operands) takeOperand(operand, files, numbers, context);
  const [input, output] = [files.get('if'), files.get('of')];
  if (input === undefined || output === undefined) throw new Refusal(DD.twoFiles);
  return {
    ...{ input, output, secrets },
    format: values.get('format'),
    outputFormat: values.get('O') ?? 'raw',
    imageOpts: values.has('image-opts'),
    forceShare: values.has('force-share'),
    blockBytes: numbers.get('bs') ?? DEFAULT_BLOCK_BYTES,
    count: numbers.get('count'),
    skip: numbers.get('skip') ?? 0n,
  };
}

/** `name=value`. A later one counts. */
function takeOperand(
  operand: string,
  files: Map<string, string>,
  numbers: Map<string, bigint>,
  context: ArgvContext,
): void {
  const [, name = operand, value] = /^([^=]*)=(.*)$/s.exec(operand) ?? [];
  if (value === undefined) throw new Refusal(DD.operand(name));
  if (name === 'if' || name === 'of') files.set(name, value);
  else if (name === 'bs') numbers.set(name, blockBytesOf(value, context));
  else if (name === 'count' || name === 'skip') numbers.set(name, blocksOf(value, name, context));
  else throw new Refusal(DD.operand(name));
}

function blockBytesOf(text: string, context: ArgvContext): bigint {
  const size = parseSizeArgument(text, context.behaviour);
  const isOutside = size !== 'invalid' && (size === 'out of range' || size > MAX_BLOCK_BYTES);
  if (isOutside || size === 0n) throw new Refusal(DD.blockBytes);
  return byteCountOf(text, 'bs', context);
}

/** Debian's 10.0 takes whole numbers without a unit, in the bases of the C library. */
function blocksOf(text: string, name: string, context: ArgvContext): bigint {
  if (context.behaviour.version !== 'debian-10.0') return byteCountOf(text, name, context);
  const [, digits] = /^\s*[-+]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)$/.exec(text) ?? [];
  if (digits === undefined) throw BYTE_COUNT.invalid(name, text, context.behaviour);
  const isOctal = /^0\d/.test(digits);
  const blocks = BigInt(isOctal ? `0o${digits.slice(1)}` : digits);
  const isNegative = text.trimStart().startsWith('-') && blocks > 0n;
  if (isNegative || blocks >= 1n << 63n) throw new Refusal(BYTE_COUNT.outOfRange(name));
  return blocks;
}
