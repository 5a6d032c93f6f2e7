import { QsnapError } from '../errors.js';
import type { DiskRange } from './options.js';

/** @throws QsnapError CLOSED. */
export function refuseClosed(isClosed: boolean, what: 'image' | 'disk', label: string): void {
  if (!isClosed) return;
  throw new QsnapError('CLOSED', `the ${what} was closed, and can't be used any more`, {
    file: label,
    hint: `open the ${what} again`,
  });
}

/** The first byte of a range and the one behind its last, inside the disk. @throws QsnapError RANGE_INVALID. */
export function boundsOf(
  { at = 0, length = Infinity }: DiskRange,
  sizeBytes: number,
): { readonly from: number; readonly to: number } {
  refuseNoCount('at', at);
  if (length !== Infinity) refuseNoCount('length', length);
  const from = Math.min(at, sizeBytes);
  return { from, to: Math.min(sizeBytes, from + length) };
}

/** @throws QsnapError RANGE_INVALID for what is no number of bytes. */
export function refuseNoCount(name: string, value: unknown, least = 0): void {
  if (Number.isSafeInteger(value) && (value as number) >= least) return;
  const found = String(value);
  throw new QsnapError('RANGE_INVALID', `${name} is ${found}, which is no number of bytes`, {
    expected: `a whole number from ${least} on`,
    actual: found,
  });
}
