import { dirname, isAbsolute, join } from 'node:path';
import { printableText, isValidUtf8 } from '../base/text.js';
import { QsnapError } from '../errors.js';
import type { Gate, OpenedLayer } from '../read/guest/gate.js';
import { backingFormat, backingName, dataFileName, type OpenImage } from '../image/image.js';
import { openLabelledFile, type OpenFileOptions } from './files/open.js';
import type { BlockSource } from '../io/device.js';

/** How the files that images name are opened. */
export interface FileGateOptions extends OpenFileOptions {
  /**
   * The folder that relative names start from in an image that is no file of the host, such as one in memory or behind
   * a URL. Without it such an image may only name absolute paths.
   */
  readonly folder?: string;
}

/**
 * A gate that opens the files of the host that an image names. Only for images that the user trusts: a name may lead to
 * any file. Relative names start from the folder of the path that `openFile` opened, whatever the label says.
 *
 * Refuses protocols other than `file:`, `json:` names, names of anything but a file or block device, and relative names
 * without a known folder: BACKING_REFUSED, DATA_FILE_REFUSED.
 *
 * ```ts
 * const gate = fileGate({ folder: '/srv/images' }); // where relative names start
 * await using image = await openQcow(memoryDevice(bytes), { gate });
 * await using disk = await image.disk({ backing: true });
 * ```
 */
export function fileGate(options: FileGateOptions = {}): Gate {
  return {
    openBacking: (image) => openBacking(image, options),
    openDataFile: (image) => openDataFile(image, options),
  };
}

type Refuse = (reason: string, hint?: string) => never;

async function openBacking(image: OpenImage, options: FileGateOptions): Promise<OpenedLayer> {
  const refuse: Refuse = (reason, hint) => {
    throw new QsnapError(
      'BACKING_REFUSED',
      `the backing file "${printableText(backingName(image) ?? '')}" ${reason}`,
      { file: image.source.label, expected: 'a raw or qcow2 file', ...(hint && { hint }) },
    );
  };
  const format = backingFormat(image);
  if (format !== undefined && format !== 'raw' && format !== 'qcow2') {
    return refuse(`is of the format "${printableText(format)}", which is not supported`);
  }
  const { path, label } = placeOf(
    image,
    image.backingNameBytes!,
    backingName(image)!,
    options,
    refuse,
  );
  const source = await openLabelledFile(path, label, options);
  try {
    return { source, format, identity: await source.identity() };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function openDataFile(image: OpenImage, options: FileGateOptions): Promise<BlockSource> {
  const name = dataFileName(image);
  const refuse: Refuse = (reason, hint) => {
    throw new QsnapError(
      'DATA_FILE_REFUSED',
      `the data file "${printableText(name ?? '')}" ${reason}`,
      { file: image.source.label, expected: 'a file', ...(hint && { hint }) },
    );
  };
  const extension = image.extensions.find(({ kind }) => kind === 'data-file-name');
  if (name === undefined || extension === undefined) return refuse('has no name in the image');
  const { path, label } = placeOf(image, extension.bytes, name, options, refuse);
  return openLabelledFile(path, label, options);
}

/** The path that a name means, seen from the folder of its image, and what people call it. */
function placeOf(
  image: OpenImage,
  bytes: Uint8Array,
  name: string,
  { folder }: FileGateOptions,
  refuse: Refuse,
): { path: string; label: string } {
  if (!isValidUtf8(bytes)) return refuse('has a name that is not UTF-8');
  const protocol = /^([^:/]*):/.exec(name)?.[1];
  if (protocol !== undefined && protocol !== 'file') {
    return refuse(`is reached by the protocol "${printableText(protocol)}", not a file`);
  }
  const path = protocol === 'file' ? name.slice('file:'.length) : name;
  if (path === '' || path.includes('\0')) return refuse('has a name that no file has');
  if (isAbsolute(path)) return { path, label: path };
  const { source } = image;
  if (source.path !== undefined) {
    // Its label is the path as it was given, which is what people know.
    const label = inFolder(dirname(source.label), path);
    return { path: inFolder(dirname(source.path), path), label };
  }
  if (folder === undefined) {
    return refuse(
      'has a relative name, and nobody knows where from',
      'name the folder that it starts from: fileGate({ folder })',
    );
  }
  const place = inFolder(folder, path);
  return { path: place, label: place };
}

/** With `..` the names stay as they are: after a link that leads elsewhere than without both. */
function inFolder(folder: string, name: string): string {
  const whole = `${folder}/${name}`;
  return whole.split('/').includes('..') ? whole : join(folder, name);
}
