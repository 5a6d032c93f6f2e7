/** A moment as databases print it in UTC and ISO: `2026-11-22 14:03:12.345+00`. */
const PRINTED = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)\+00$/;

/** ISO 8601: `2026-11-22T14:03:12.345Z`; what is no such moment, as it is. */
export function isoText(printed: string): string {
  const [, day, time] = PRINTED.exec(printed) ?? [];
  return day === undefined ? printed : `${day}T${time!}Z`;
}

/** Milliseconds since the Epoch. */
export function millisecondsOf(printed: string): number {
  return Date.parse(isoText(printed));
}
