/** A snapshot's date as the table stores it. */
export interface DateValue {
  readonly seconds: number;
  readonly nanoseconds: number;
}

const SECONDS_MAX = 2 ** 32 - 1;
const AT_SECONDS = /^@(\d{1,10})(?:\.(\d{1,9}))?$/;
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d\d:?\d\d)?)?$/i;

/**
 * Reads `@SECONDS[.FRACTION]` or ISO 8601; a date without an offset is local time, as `list` prints
 * it. Undefined when it is neither, no real day, or outside 1970 to 2106, which is what 32 bits of
 * seconds hold.
 */
export function parseDate(text: string): DateValue | undefined {
  const at = AT_SECONDS.exec(text);
  if (at !== null) return inRange(Number(at[1]), at[2]);
  const iso = ISO.exec(text);
  if (iso === null) return undefined;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction, offset] = iso;
  const parts = [year, month, day, hour, minute, second].map(Number);
  const seconds = offset === undefined ? localSeconds(parts) : utcSeconds(parts, offset);
  return seconds === undefined ? undefined : inRange(seconds, fraction);
}

function inRange(seconds: number, fraction = ''): DateValue | undefined {
  if (seconds < 0 || seconds > SECONDS_MAX) return undefined;
  return { seconds, nanoseconds: Number(fraction.padEnd(9, '0')) };
}

function localSeconds(parts: readonly number[]): number | undefined {
  const [year, month, day, hour, minute, second] = parts as [number, ...number[]];
  const date = new Date(year, month! - 1, day, hour, minute, second);
  // Date carries a 31st of February over to March; a different day means that there is none.
  const real = date.getMonth() === month! - 1 && date.getDate() === day && fitsClock(parts);
  return real ? date.getTime() / 1000 : undefined;
}

function utcSeconds(parts: readonly number[], offset: string): number | undefined {
  const [year, month, day, hour, minute, second] = parts as [number, ...number[]];
  const date = new Date(Date.UTC(year, month! - 1, day, hour, minute, second));
  const real = date.getUTCMonth() === month! - 1 && date.getUTCDate() === day && fitsClock(parts);
  if (!real) return undefined;
  if (offset.toUpperCase() === 'Z') return date.getTime() / 1000;
  const digits = offset.replace(/[^\d]/g, '');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return date.getTime() / 1000 - (offset.startsWith('-') ? -60 : 60) * minutes;
}

function fitsClock(parts: readonly number[]): boolean {
  return parts[3]! < 24 && parts[4]! < 60 && parts[5]! < 60;
}
