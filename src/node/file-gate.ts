import { promises } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { printableText, isValidUtf8 } from '../base/text.js';
import { QsnapError } from '../errors.js';
import type { Gate, OpenedLayer } from '../guest/gate.js';
import { backingFormat, backingName, dataFileName, type Image } from '../image/image.js';
import { openFile, type OpenFileOptions } from '../io/node/open.js';
import type { BlockSource } from '../io/device.js';

/**
 * A gate that opens the files of the host that an image names: relative names start from the folder
 * of the image that names them. For images that the user trusts: a name may lead to any file.
 * Protocols other than `file:`, `json:` names, and what is no file or block device are refused.
 */
export function fileGate(options: OpenFileOptions = {}): Gate {
  return {
    openBacking: (image) => openBacking(image, options),
    openDataFile: (image) => openDataFile(image, options),
  };
}

async function openBacking(image: Image, options: OpenFileOptions): Promise<OpenedLayer> {
  const refuse = (reason: string): never => {
    throw new QsnapError(
      'BACKING_REFUSED',
      `the backing file "${printableText(backingName(image) ?? '')}" ${reason}`,
      { file: image.source.label, expected: 'a raw or qcow2 file' },
    );
  };
  const format = backingFormat(image);
  if (format !== undefined && format !== 'raw' && format !== 'qcow2') {
    return refuse(`is of the format "${printableText(format)}", which is not supported`);
  }
  const path = pathOf(image, image.backingNameBytes!, backingName(image)!, refuse);
  const source = await openFile(path, options);
  try {
    // By what is opened now: a link may lead elsewhere the next time.
    const { dev, ino } = await promises.stat(path);
    return { source, format, identity: `${dev}:${ino}` };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function openDataFile(image: Image, options: OpenFileOptions): Promise<BlockSource> {
  const name = dataFileName(image);
  const refuse = (reason: string): never => {
    throw new QsnapError(
      'DATA_FILE_REFUSED',
      `the data file "${printableText(name ?? '')}" ${reason}`,
      { file: image.source.label, expected: 'a file' },
    );
  };
  const extension = image.extensions.find(({ kind }) => kind === 'data-file-name');
  if (name === undefined || extension === undefined) return refuse('has no name in the image');
  return openFile(pathOf(image, extension.bytes, name, refuse), options);
}

/** The path that a name means, seen from the folder of its image. */
function pathOf(
  image: Image,
  bytes: Uint8Array,
  name: string,
  refuse: (reason: string) => never,
): string {
  if (!isValidUtf8(bytes)) return refuse('has a name that is not UTF-8');
  const protocol = /^([^:/]*):/.exec(name)?.[1];
  if (protocol !== undefined && protocol !== 'file') {
    return refuse(`is reached by the protocol "${printableText(protocol)}", not a file`);
  }
  const path = protocol === 'file' ? name.slice('file:'.length) : name;
  if (path === '' || path.includes('\0')) return refuse('has a name that no file has');
  return isAbsolute(path) ? path : join(dirname(image.source.label), path);
}
