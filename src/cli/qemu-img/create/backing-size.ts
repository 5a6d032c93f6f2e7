/** How long the disk of a backing file is: a disk that grows over it has to know. */
import {
  backingFormat,
  isQsnapError,
  openImage,
  type BlockSource,
  type Image,
} from '../../../index.js';
import { openFile } from '../../../node/index.js';
import { byteString, textOf } from '../grammar/bytes.js';
import { fullBackingName, protocolOf } from '../disks/target.js';

/**
 * Asks the backing file of an image for its size, and for nothing else.
 *
 * @param imagePath the path of the image as a byte string.
 * @returns undefined where it can't be had: the file is not there, or is no file.
 */
export async function backingSizeOf(image: Image, imagePath: string): Promise<number | undefined> {
  if (image.backingNameBytes === undefined) return undefined;
  const name = fullBackingName(imagePath, byteString(image.backingNameBytes));
  const path = protocolOf(name) === undefined ? textOf(name) : undefined;
  if (path === undefined) return undefined;
  try {
    const file = await openFile(path);
    try {
      return await diskBytes(file, backingFormat(image));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (!isQsnapError(error)) throw error;
    return undefined;
  }
}

async function diskBytes(
  file: BlockSource,
  format: string | undefined,
): Promise<number | undefined> {
  switch (format) {
    case 'raw':
      return file.sizeBytes();
    case 'qcow2':
      return (await openImage(file)).header.diskSizeBytes;
    case undefined:
      return longestGuess(file);
    default:
      return undefined;
  }
}

/** Nobody says what it is. Too long does no harm: what is past its end reads as zeros anyway. */
async function longestGuess(file: BlockSource): Promise<number> {
  const bytes = await file.sizeBytes();
  try {
    return Math.max(bytes, (await openImage(file)).header.diskSizeBytes);
  } catch (error) {
    if (!isQsnapError(error) || error.code !== 'NOT_QCOW2') throw error;
    return bytes;
  }
}
