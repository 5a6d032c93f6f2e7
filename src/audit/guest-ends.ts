import { isQsnapError, type QsnapError } from '../errors.js';
import type { ReadableImage } from '../image/open-for-reading.js';
import { openGuestDisk } from '../read/guest/open-guest-disk.js';
import type { Gate } from '../read/guest/gate.js';
import type { Decompressor } from '../read/guest/platform.js';
import type { GuestEnds } from './rule.js';

/** A partition table of sectors of 4 KiB: a protective MBR, a header, and 128 entries. */
const FIRST_BYTES = 6 * 4096;
/** The backup header is the last sector, whatever its size. */
const LAST_BYTES = 4096;

/**
 * Reads where the active disk has its partition tables. Backing files are opened only by a gate.
 *
 * @returns undefined where it can't be read: encrypted, damaged, or in a data file or a file that is not opened.
 * @throws QsnapError READ_FAILED.
 */
export async function readGuestEnds(
  image: ReadableImage,
  decompressor: Decompressor | undefined,
  gate: Gate | undefined,
): Promise<GuestEnds | undefined> {
  const { encryption, externalDataFile } = image.header;
  if (encryption !== 'none' || externalDataFile) return undefined;
  try {
    const disk = await openGuestDisk(image, { decompressor, gate });
    try {
      const diskBytes = await disk.sizeBytes();
      const first = new Uint8Array(Math.min(FIRST_BYTES, diskBytes));
      const last = new Uint8Array(Math.min(LAST_BYTES, diskBytes));
      await disk.readBatch([
        { at: 0, into: first },
        { at: diskBytes - last.length, into: last },
      ]);
      return { diskBytes, first, last };
    } finally {
      await disk.close();
    }
  } catch (error) {
    if (!isQsnapError(error) || isOurs(error)) throw error;
    return undefined;
  }
}

/** Files below that are not there are not the failure of a read. */
function isOurs({ code, kind }: QsnapError): boolean {
  if (code === 'OPEN_FAILED' || code === 'NOT_A_FILE') return false;
  return kind === 'io' || kind === 'internal' || code === 'ABORTED';
}
