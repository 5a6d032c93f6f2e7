/** Whether a file could be opened for writing, found out without opening it so. */
import { access, constants, readFile, stat } from 'node:fs';
import { promisify } from 'node:util';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import { deviceParts } from './block-size.js';
import { openFailed } from './system-error.js';

/**
 * Why an edit could not open the file: permissions, a file system or a block device that is read-only.
 * Undefined where nothing of that kind is known. It is asked of the path, since that is what an edit opens.
 *
 * @param label what people call the file.
 */
export async function refusalToWrite(path: string, label = path): Promise<QsnapError | undefined> {
  try {
    await promisify(access)(path, constants.W_OK);
    const { rdev } = await promisify(stat)(path);
    if (!(await isReadOnlyDevice(rdev))) return undefined;
  } catch (error) {
    return openFailed(label, error);
  }
  const message = `Can't open ${printableText(label)}: the device is read-only`;
  return new QsnapError('OPEN_FAILED', message, { file: label });
}

/** Some systems open a read-only device for writing and refuse the first write. Linux tells before. */
async function isReadOnlyDevice(deviceNumber: number): Promise<boolean> {
  if (deviceNumber === 0) return false;
  const { major, minor } = deviceParts(deviceNumber);
  try {
    const text = await promisify(readFile)(`/sys/dev/block/${major}:${minor}/ro`, 'latin1');
    return text.trim() === '1';
  } catch {
    return false;
  }
}
