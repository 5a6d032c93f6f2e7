import { printableText } from '../base/text.js';
import { QsnapError } from '../errors.js';
import type { BlockDevice, BlockSource } from './device.js';

/**
 * Refuses to write something new over a file that holds anything: it may be the image that is read. A block device
 * has its size whatever lies in it, so it is taken.
 *
 * @param what is written, for the message.
 * @throws QsnapError OUTPUT_EXISTS.
 */
export async function refuseUsedFile(device: BlockDevice, what: string): Promise<void> {
  const bytes = device.growable ? await device.sizeBytes() : 0;
  if (bytes === 0) return;
  const label = printableText(device.label);
  throw new QsnapError(
    'OUTPUT_EXISTS',
    `${label} has ${bytes} bytes; ${what} is written to an empty file`,
    {
      file: device.label,
      expected: '0 bytes',
      actual: `${bytes} bytes`,
      imageState: 'unchanged',
    },
  );
}

/**
 * Refuses to write over what is read, under whatever name.
 *
 * @throws QsnapError OUTPUT_IS_INPUT.
 */
export async function refuseOneDevice(source: BlockSource, device: BlockDevice): Promise<void> {
  const isOne = source === device || (await isOneFile(source, device));
  if (isOne) throw outputIsInput(device.label);
}

/** What is to be written is what is read. */
export function outputIsInput(file: string): QsnapError {
  const message = `${printableText(file)} is read itself: it can't be the output too`;
  return new QsnapError('OUTPUT_IS_INPUT', message, { file, hint: 'choose another name' });
}

async function isOneFile(source: BlockSource, device: BlockDevice): Promise<boolean> {
  if (source.identity === undefined || device.identity === undefined) return false;
  return (await source.identity()) === (await device.identity());
}
