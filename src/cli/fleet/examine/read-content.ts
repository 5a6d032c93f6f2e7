import { isQsnapError, openQcow, type BlockSource, type QcowImage } from '../../../index.js';
import { nodeCryptography, nodeDecompressor } from '../../../node/index.js';

/** Opens an image whose content is hashed. @throws QsnapError why it can't be opened; the source is closed then. */
export function openToHash(source: BlockSource): Promise<QcowImage> {
  return openQcow(source, {
    decompressor: nodeDecompressor(),
    cryptography: nodeCryptography(),
  });
}

/** A disk by its position in `qsnap.disks`. @throws QsnapError why it can't be opened. */
export function openDisk(image: QcowImage, position: number): ReturnType<QcowImage['disk']> {
  return image.disk(position === 0 ? undefined : image.snapshots[position - 1]);
}

/** @returns undefined where the image is damaged, or asks for more than is here. */
export async function unlessUnreadable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isQsnapError(error) || !UNREADABLE.has(error.kind)) throw error;
    return undefined;
  }
}

const UNREADABLE: ReadonlySet<string> = new Set(['image', 'request']);
