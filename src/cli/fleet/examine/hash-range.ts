import { openForReading } from '../../../index.js';
import { failedBy, failureOf } from './failed-record.js';
import { digestsOfRange } from './hash-pieces.js';
import type { PieceRange } from './pieces.js';
import { openDisk, openToHash, unlessUnreadable } from './read-content.js';
import type { ImageRecord } from './record.js';
import { digestOfTables, versionOf, versionOnAnyHost } from './stamp.js';
import { openThrottled, type Opening } from './throttled.js';

/** A range of a large disk that is to be read; plain values, so that a thread can be told. */
export interface RangeReading extends PieceRange {
  readonly location: string;
  /** Of the image, as the plan has it. */
  readonly version: string;
  readonly pieceBytes: number;
  readonly options: Opening;
}

/** What came of it. */
export type RangeResult =
  /** The SHA-256 of each piece in hex, one after the other. */
  | { readonly kind: 'read'; readonly digests: string }
  /** The disk is damaged, or asks for more than is here: it has no hash. */
  | { readonly kind: 'unreadable' }
  /** The image is another version by now. */
  | { readonly kind: 'changed' }
  /** Nobody wants it any more. */
  | { readonly kind: 'stale' }
  /** The image can't be read, and this is its record. */
  | { readonly kind: 'failed'; readonly record: ImageRecord };

/** Hashes a range of a disk. It never throws for what is wrong with the image: that is in the result. */
export async function hashRange(reading: RangeReading): Promise<RangeResult> {
  const { location, version, position, pieceBytes, options } = reading;
  try {
    const before = await versionOf(location);
    await using image = await openToHash(await openThrottled(location, options));
    const tables = await digestOfTables(await openForReading(image.source));
    if (versionOnAnyHost(before, location, tables) !== version) return { kind: 'changed' };
    const digests = await unlessUnreadable(async () => {
      await using disk = await openDisk(image, position);
      return await digestsOfRange(disk, reading, pieceBytes);
    });
    const after = await versionOf(location);
    if (after.text !== before.text) return { kind: 'changed' };
    return digests === undefined ? { kind: 'unreadable' } : { kind: 'read', digests };
  } catch (error) {
    if (failureOf(error).code === 'IMAGE_CHANGED') return { kind: 'changed' };
    return { kind: 'failed', record: failedBy(error) };
  }
}
