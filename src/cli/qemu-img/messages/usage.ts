/** What is wrong with a command line, and where help is. As in `messages.ts`: what qemu-img was seen to print. */
import { VERSIONS, type Behaviour } from '../version/behaviour.js';
import type { Found } from '../grammar/getopt.js';
import { Refusal, UsageError } from '../refusal.js';

/** Where help is. */
export function helpHint({ version }: Behaviour, words: readonly string[]): string {
  const end = version === 'debian-10.0' ? 'info' : 'information';
  return `Try '${words.join(' ')} --help' for more ${end}`;
}

export const USAGE = {
  noBackingName: 'Must specify backing file (-b) or use unsafe mode (-u)',
  noCommand: 'Not enough arguments',
  unknownCommand: (name: string) => `Command not found: ${name}`,
  unknownVersion: (text: string) =>
    `'${text}' is no version of qemu-img that is known here: use one of ${VERSIONS.join(', ')}`,
  oneFile: 'Expecting one image file name',
  extraArguments: 'Extra argument(s) in command line',
  fileAndSize: 'Expecting image file name and size',
  mixedActions: "Cannot mix '-l', '-a', '-c', '-d'",
  imageOptsAndFormat: '--image-opts and --format are mutually exclusive',
} as const;

/** What is wrong with an option, as qemu-img says it and, since 10.1, the C library. */
export function wrongOption(
  { namedOptions }: Behaviour,
  wrong: Exclude<Found, { readonly kind: 'option' }>,
): UsageError {
  const { kind, argument, option } = wrong;
  if (namedOptions) return new UsageError(LIBRARY_WORDS[kind](option, wrong.candidates), true);
  return new UsageError(
    kind === 'missing-value'
      ? `missing argument for option '${argument}'`
      : `unrecognized option '${argument}'`,
  );
}

const LIBRARY_WORDS: Readonly<
  Record<
    Exclude<Found['kind'], 'option'>,
    (option: string, candidates: readonly string[]) => string
  >
> = {
  unrecognized: (option) =>
    option.startsWith('--') ? `unrecognized option '${option}'` : `invalid option -- '${option}'`,
  'missing-value': (option) =>
    option.startsWith('--')
      ? `option '${option}' requires an argument`
      : `option requires an argument -- '${option}'`,
  'unwanted-value': (option) => `option '${option}' doesn't allow an argument`,
  ambiguous: (option, candidates) =>
    `option '${option}' is ambiguous; possibilities: ` +
    candidates.map((name) => `'--${name}'`).join(' '),
};

/** @throws Refusal for what is no format of output. */
export function isJsonOutput(value: string, { namedOptions, version }: Behaviour): boolean {
  if (value === 'json' || value === 'human') return value === 'json';
  if (!namedOptions) throw new Refusal('--output must be used with human or json as argument.');
  const comma = version === 'debian-10.0' ? '' : ',';
  throw new UsageError(`--output expects 'human' or 'json'${comma} not '${value}'`);
}
