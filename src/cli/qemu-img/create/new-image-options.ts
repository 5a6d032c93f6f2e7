/** `-o` of the commands that make images: which options there are, and what they may say. */
import type { ArgvContext } from '../grammar/argv.js';
import type { Behaviour } from '../version/behaviour.js';
import { NEW_IMAGE, SIZE_PARAMETER } from '../messages/create.js';
import { Refusal } from '../refusal.js';
import { optionItemsOf } from '../grammar/option-strings.js';
import { hasHexSuffix, parseSizeArgument } from '../grammar/size-argument.js';

export type NewFormat = 'qcow2' | 'raw';

export type OptionType = 'str' | 'size' | 'bool' | 'num';

/** In the order in which QEMU prints them. */
const QCOW2_OPTIONS: Readonly<Record<string, OptionType>> = {
  encryption: 'bool',
  'encrypt.format': 'str',
  'encrypt.key-secret': 'str',
  'encrypt.cipher-alg': 'str',
  'encrypt.cipher-mode': 'str',
  'encrypt.ivgen-alg': 'str',
  'encrypt.ivgen-hash-alg': 'str',
  'encrypt.hash-alg': 'str',
  'encrypt.iter-time': 'num',
  cluster_size: 'size',
  extended_l2: 'bool',
  preallocation: 'str',
  compression_type: 'str',
  keep_data_file: 'bool',
  size: 'size',
  compat: 'str',
  backing_file: 'str',
  backing_fmt: 'str',
  data_file: 'str',
  data_file_raw: 'bool',
  lazy_refcounts: 'bool',
  refcount_bits: 'num',
  nocow: 'bool',
  extent_size_hint: 'size',
};

const RAW_OPTIONS: Readonly<Record<string, OptionType>> = {
  size: 'size',
  nocow: 'bool',
  preallocation: 'str',
  extent_size_hint: 'size',
};

const OPTIONS = { qcow2: QCOW2_OPTIONS, raw: RAW_OPTIONS } as const;

/** Shown even if nobody asked for them. */
const DEFAULTS: Readonly<Record<NewFormat, Readonly<Record<string, string>>>> = {
  qcow2: {
    cluster_size: '65536',
    extended_l2: 'off',
    compression_type: 'zlib',
    lazy_refcounts: 'off',
    refcount_bits: '16',
  },
  raw: {},
};

type ValueContext = Pick<ArgvContext, 'warn' | 'behaviour'>;

/** Options of new images that there are only for these. */
export function isForCreation(key: string, behaviour: Behaviour): boolean {
  return key !== 'nocow' && key !== 'extent_size_hint' && key in knownOptions('qcow2', behaviour);
}

function knownOptions(
  format: NewFormat,
  { keepDataFile }: Behaviour,
): Readonly<Partial<Record<string, OptionType>>> {
  const { keep_data_file: keep, ...others } = OPTIONS[format] as Record<string, OptionType>;
  const known = keep !== undefined && keepDataFile ? OPTIONS[format] : others;
  return Object.assign(Object.create(null) as object, known);
}

/** What was given, as byte strings; sizes and numbers as their digits, with a sign where QEMU has it. */
export type GivenOptions = Map<string, string>;

/** @throws Refusal for what is no list of options at all. */
export function checkOptionList(text: string): void {
  const endsOpen = /(?:^|[^,])(?:,,)*,$/.test(text);
  if (text === '' || text.startsWith(',') || endsOpen) {
    throw new Refusal(NEW_IMAGE.invalidList(text));
  }
}

/** Whether one of the items asks for the list of options. */
export function asksForHelp(text: string): boolean {
  return optionItemsOf(text).some(
    ([key, value]) => value === undefined && (key === 'help' || key === '?'),
  );
}

/**
 * The options of one or more `-o`, later ones before earlier ones.
 *
 * @param fail what an error becomes.
 */
export function parseNewImageOptions(
  text: string,
  format: NewFormat,
  context: ValueContext,
  fail: (reason: string) => Refusal,
): GivenOptions {
  const known = knownOptions(format, context.behaviour);
  const unknown = (key: string): Refusal => fail(NEW_IMAGE.invalidParameter(key));
  return parseOptionValues(text, known, context, fail, unknown);
}

/**
 * The same for any list of options.
 *
 * @param unknown what an option becomes that is none.
 */
export function parseOptionValues(
  text: string,
  known: Readonly<Partial<Record<string, OptionType>>>,
  context: ValueContext,
  fail: (reason: string) => Refusal,
  unknown: (key: string) => Refusal,
): GivenOptions {
  const given: GivenOptions = new Map();
  for (const [name, written] of optionItemsOf(text)) {
    const isOff = written === undefined && name.startsWith('no') && name !== 'nocow';
    const key = isOff ? name.slice(2) : name;
    const value = written ?? (isOff ? 'off' : 'on');
    if (key === 'id') continue;
    const type = known[key];
    if (type === undefined) throw unknown(key);
    given.set(key, checkedValue(key, value, type, context, fail));
  }
  return given;
}

function checkedValue(
  key: string,
  value: string,
  type: OptionType,
  context: ValueContext,
  fail: (reason: string) => Refusal,
): string {
  switch (type) {
    case 'str':
      return value;
    case 'bool':
      if (!/^(?:on|yes|true|y|off|no|false|n)$/.test(value)) throw fail(NEW_IMAGE.noBool(key));
      return value;
    case 'num': {
      const number = parsedNumber(value);
      if (number === undefined) throw fail(NEW_IMAGE.noNumber(key));
      return String(number);
    }
    case 'size': {
      const size = parseSizeArgument(value, context.behaviour);
      if (size === 'invalid') throw fail(SIZE_PARAMETER.invalid(key));
      if (size === 'out of range') throw fail(SIZE_PARAMETER.outOfRange(key, value));
      if (hasHexSuffix(value)) context.warn(NEW_IMAGE.hexSuffix(value));
      return String(BigInt.asIntN(64, size));
    }
  }
}

/** As the C library reads a number of 64 bits: decimal, octal or hexadecimal, with a sign. */
function parsedNumber(text: string): bigint | undefined {
  const [, sign, digits] = /^\s*([-+]?)(0[xX][0-9a-fA-F]+|\d+)$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const isOctal = /^0\d/.test(digits);
  if (isOctal && /[89]/.test(digits)) return undefined;
  const value = BigInt(isOctal ? `0o${digits.slice(1)}` : digits);
  return BigInt.asIntN(64, sign === '-' ? -value : value);
}

export function isOn(value: string | undefined): boolean {
  return value !== undefined && /^(?:on|yes|true|y)$/.test(value);
}

export function isPowerOfTwo(value: bigint): boolean {
  return value > 0n && (value & (value - 1n)) === 0n;
}

/** The line that says what is made. */
export function formattingLine(name: string, format: NewFormat, given: GivenOptions): string {
  const all: Readonly<Record<string, string>> = {
    ...DEFAULTS[format],
    ...Object.fromEntries(given),
  };
  const shown = Object.keys(OPTIONS[format]).flatMap((key) => {
    const value = all[key];
    return value === undefined ? [] : [` ${key}=${value.replaceAll(',', ',,')}`];
  });
  return `Formatting '${name}', fmt=${format}${shown.join('')}`;
}
