import { openForReading } from '../image/open-for-reading.js';
import type { BlockSource } from '../io/device.js';
import { OPEN, refuseWrong } from './known-options.js';
import type { OpenQcowOptions } from './options.js';
import { QcowImage } from './qcow-image.js';

/**
 * Opens an image on any source: `blobSource`, `httpSource`, `memoryDevice` or one of your own. What can be
 * written to can be edited. The image takes the source over: `close` closes it, and so does a failure here.
 * For files there is `openImageFile` of `qsnap/node`.
 *
 * ```ts
 * await using image = await openQcow(blobSource(file, file.name), { decompressor: webDecompressor() });
 * ```
 *
 * A damaged image is opened as far as it can be read: what can't be is in `unread`, and asking for it throws
 * why.
 *
 * @throws QsnapError NOT_QCOW2 and the other codes of a header that can't be read, READ_FAILED.
 */
export async function openQcow(
  source: BlockSource,
  options: OpenQcowOptions = {},
): Promise<QcowImage> {
  try {
    refuseWrong(options, OPEN);
    return new QcowImage(await openForReading(source), options);
  } catch (error) {
    // Why the image can't be opened is what the caller has to know.
    await source.close().catch(() => undefined);
    throw error;
  }
}
