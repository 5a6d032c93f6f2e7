/** Numbers, sizes and times as text for people, and as people type them. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** A size with three significant digits and a binary unit, such as `1.21 MiB`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 1000 and not 1024, so that three digits are enough before the point.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toPrecision(3))} ${UNITS[unit]!}`;
}

/** A size for people and, where that rounds or hides it, in bytes: `64 MiB (67108864 bytes)`. */
export function exactSizeText(bytes: number): string {
  return bytes < 1000 ? countText(bytes, 'byte') : `${sizeText(bytes)} (${bytes} bytes)`;
}

/** `1 cluster`, `2 clusters`. */
export function countText(count: number, singular: string, plural = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : plural}`;
}

export function hexText(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Seconds since the Epoch in the time zone of the process: `2026-11-22 14:03:12`. */
export function localTimeText(seconds: number): string {
  const date = new Date(seconds * 1000);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/**
 * ISO 8601 in UTC with nanoseconds: `2026-11-22T14:03:12.000000000Z`. Nanoseconds past a second, as
 * damaged tables have them, are carried over.
 */
export function utcTimeText(time: { seconds: number; nanoseconds: number }): string {
  const seconds = time.seconds + Math.floor(time.nanoseconds / 1e9);
  const fraction = String(time.nanoseconds % 1e9).padStart(9, '0');
  return `${new Date(seconds * 1000).toISOString().slice(0, -'.000Z'.length)}.${fraction}Z`;
}

/** How long a guest had run: `00:01:02.345`; hours go past 99 where they must. */
export function vmClockText(nanoseconds: bigint): string {
  const milliseconds = nanoseconds / 1_000_000n;
  const seconds = Number(milliseconds / 1000n);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${parts.map(two).join(':')}.${String(milliseconds % 1000n).padStart(3, '0')}`;
}

const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/**
 * A message as one line that is safe to print: control and format characters become `\xNN` or
 * `\u{N}`. Backslashes stay, since a message may quote what is escaped already.
 */
export function oneSafeLine(message: string): string {
  return message.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0)!;
    if (character === '\n') return '\\n';
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    return `\\u{${code.toString(16)}}`;
  });
}

/**
 * A JSON document for stdout, with escapes for all that a terminal must not be given.
 *
 * @param indent spaces; 0: all in one line.
 */
export function jsonText(document: unknown, indent = 2): string {
  const text = JSON.stringify(document, undefined, indent);
  const safe = text.replace(UNSAFE, (character) => {
    // The line breaks between members; those inside strings are escaped already.
    if (character === '\n') return character;
    const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
  });
  return `${safe}\n`;
}

/** A new size, or by how much one changes. */
export interface SizeChange {
  readonly sign: '' | '+' | '-';
  readonly bytes: number;
}

const UNIT_LETTERS = 'KMGTPE';

/**
 * `64K`, `1.5G`, `512`: binary units, in bytes.
 *
 * @returns undefined for what is no size, or none in whole bytes that a number can hold.
 */
export function parseSize(text: string): number | undefined {
  const parts = /^(\d+(?:\.\d+)?)(?:([KMGTPE])(?:iB)?)?$/i.exec(text);
  if (parts === null) return undefined;
  const unit = parts[2] === undefined ? 0 : UNIT_LETTERS.indexOf(parts[2].toUpperCase()) + 1;
  const bytes = Number(parts[1]) * 1024 ** unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** An offset: a size, or `0x50000` in hex. */
export function parseOffset(text: string): number | undefined {
  if (!/^0x[0-9a-f]{1,14}$/i.test(text)) return parseSize(text);
  const offset = Number(text);
  return Number.isSafeInteger(offset) ? offset : undefined;
}

/** A size with a sign before it, which makes it a difference. */
export function parseSizeChange(text: string): SizeChange | undefined {
  const [, sign, size] = /^([-+]?)(.*)$/.exec(text)!;
  const bytes = parseSize(size!);
  return bytes === undefined ? undefined : { sign: sign as SizeChange['sign'], bytes };
}

/** Seconds of a unit, the largest first. */
export const AGE_UNITS: readonly (readonly [letter: string, seconds: number])[] = [
  ['y', 365 * 86_400],
  ['w', 7 * 86_400],
  ['d', 86_400],
  ['h', 3600],
];

/**
 * `12h`, `30d`, `8w`, `1y`, in seconds.
 *
 * @returns undefined for what is no age, and for an age of nothing.
 */
export function parseAge(text: string): number | undefined {
  const [, digits, letter] = /^(\d{1,6})([hdwy])$/.exec(text) ?? [];
  const unit = AGE_UNITS.find(([one]) => one === letter);
  const seconds = unit === undefined ? 0 : Number(digits) * unit[1];
  return seconds > 0 ? seconds : undefined;
}
