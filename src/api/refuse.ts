import { QsnapError } from '../errors.js';
import type { BlockDevice, BlockSource } from '../io/device.js';
import type { DiskRange } from './options.js';

/** @throws QsnapError CLOSED. */
export function refuseClosed(
  isClosed: boolean,
  what: 'image' | 'disk' | 'group',
  label: string,
): void {
  if (!isClosed) return;
  throw new QsnapError('CLOSED', `the ${what} was closed, and can't be used any more`, {
    file: label,
    hint: `open the ${what} again`,
  });
}

/** The source, to write to. @throws QsnapError READ_ONLY. */
export function refuseReadOnly(source: BlockSource): BlockDevice {
  // Types say so of a device; what is open may be any source.
  if ((source as Partial<BlockDevice>).writeBatch !== undefined) return source as BlockDevice;
  throw new QsnapError('READ_ONLY', 'the image was opened for reading only', {
    file: source.label,
    expected: 'an image that was opened for writing',
    hint: 'open it for writing: `{ write: true }` for a file, or a device to write to',
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
