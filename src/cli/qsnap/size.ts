/** Sizes as people type them. */

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

/** The same with a sign before it, which makes it a difference. */
export function parseSizeChange(text: string): SizeChange | undefined {
  const [, sign, size] = /^([-+]?)(.*)$/.exec(text)!;
  const bytes = parseSize(size!);
  return bytes === undefined ? undefined : { sign: sign as SizeChange['sign'], bytes };
}
