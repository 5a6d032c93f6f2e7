/** Ages as people type them. */

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
