/** Sizes as qemu-img takes them: `10G`, `1.5M`, `0x1000`. */
import type { ArgvContext } from './argv.js';
import type { Behaviour } from '../version/behaviour.js';
import { BYTE_COUNT, SIZE_REASONS } from '../messages.js';
import { Refusal } from '../refusal.js';

/** What a text means as a size in bytes, below 2^64; or what is wrong with it. */
export type SizeArgument = bigint | 'invalid' | 'out of range';

const UNITS = 'BKMGTPE';
const END = 1n << 64n;

/** Blanks and a sign may come first, as the C library has it. */
const HEX = /^\s*\+?0[xX]([0-9a-fA-F]+)([bkmgtp]?)$/i;
const DECIMAL = /^\s*\+?(\d+)(\.\d*)?([bkmgtpe]?)$/i;
/** Newer versions take a fraction without a whole number. */
const FRACTION = /^\s*\+?()(\.\d+)([bkmgtpe]?)$/i;
const NEGATIVE = /^\s*-\d+$/;

export function parseSizeArgument(text: string, { newSizes }: Behaviour): SizeArgument {
  const hex = HEX.exec(text);
  if (hex !== null) {
    const [, digits, unit] = hex;
    return newSizes && unit !== '' ? 'invalid' : scaled(BigInt(`0x${digits!}`), 0n, unit!);
  }
  if (newSizes && NEGATIVE.test(text)) return 'out of range';
  const [, digits, fraction = '.', unit] =
    DECIMAL.exec(text) ?? (newSizes ? FRACTION.exec(text) : null) ?? [];
  if (digits === undefined) return 'invalid';
  const part = BigInt(Math.floor(Number(`0${fraction}`) * 2 ** 64));
  // Older ones lose a fraction that rounds up to 1.
  return scaled(BigInt(digits), newSizes ? part : part % END, unit!);
}

/** Whether a unit follows a hexadecimal number, which older versions take with a warning. */
export function hasHexSuffix(text: string): boolean {
  return (HEX.exec(text)?.[2] ?? '') !== '';
}

const BYTE_COUNT_END = 1n << 63n;

/**
 * A number of bytes on the command line, below 2^63.
 *
 * @param what QEMU's name of it: `image size`.
 * @throws Refusal for what is none.
 */
export function byteCountOf(text: string, what: string, context: ArgvContext): bigint {
  const { behaviour, warn } = context;
  const size = parseSizeArgument(text, behaviour);
  if (size === 'invalid') throw BYTE_COUNT.invalid(what, text, behaviour);
  if (size === 'out of range' || size >= BYTE_COUNT_END) {
    throw new Refusal(BYTE_COUNT.outOfRange(what));
  }
  if (hasHexSuffix(text)) warn(SIZE_REASONS.hexSuffix(text));
  return size;
}

/**
 * QEMU: a fraction is a 64-bit fixed-point number, and halves of a byte go up.
 *
 * @param part of 2^64.
 */
function scaled(whole: bigint, part: bigint, unit: string): SizeArgument {
  const scale = 1n << BigInt(10 * Math.max(0, UNITS.indexOf(unit.toUpperCase())));
  if (whole >= END) return 'out of range';
  if (scale === 1n && part !== 0n) return 'invalid';
  const size = whole * scale + (part * scale + (END >> 1n)) / END;
  return size < END ? size : 'out of range';
}
