/** Where `convert` writes to. */
import type { CompressionType, GuestDisk, ImageWriter } from '../../../index.js';
import { isOtherFormat } from '../disks/formats.js';
import { CONVERT, CONVERT_REFUSED } from '../messages/convert.js';
import { Refusal } from '../refusal.js';

/** Where a copy goes. */
export interface ConvertTarget {
  readonly writer: ImageWriter;
  readonly compressionType: CompressionType;
  /** Size of the disk of the new image's backing file, if it has one. */
  readonly backingBytes: number | undefined;
  /** Size of the disk of an image that was there before: what is copied may be shorter. */
  readonly diskBytes?: number;
  /** Room is taken for all of the disk. */
  readonly everything: boolean;
  /** Zeros are recorded as such, since nobody said that the target has none but zeros. */
  readonly explicitZeros?: boolean;
}

/** An image that keeps all that it has besides its active disk. */
export interface OverwrittenTarget {
  /** @param onProgress told of guest bytes that are written. */
  readonly overwrite: (disk: GuestDisk, onProgress: (doneBytes: number) => void) => Promise<void>;
}

/** What is done with where a copy goes. */
export type UseTarget = (target: ConvertTarget | OverwrittenTarget) => Promise<void>;

/** @throws Refusal for a format that no image is made in here. */
export function knownFormat(format: string): 'qcow2' | 'raw' {
  if (format === 'qcow2' || format === 'raw') return format;
  throw new Refusal(
    isOtherFormat(format) ? CONVERT_REFUSED.format(format) : CONVERT.unknownFormat(format),
  );
}
