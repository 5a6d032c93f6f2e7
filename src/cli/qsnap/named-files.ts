import path from 'node:path';
import { backingName, dataFileName, type Image } from '../../index.js';
import { isUrl } from '../remote/location.js';

/** What QEMU takes for a protocol. */
const PROTOCOL = /^[A-Za-z][A-Za-z0-9+.-]*:/;

/**
 * The files of the host that an image names: its backing file and its data file. What is written must not take their
 * place. Nothing is opened.
 *
 * @param file the path of the image, from which relative names start.
 */
export function namedFiles(image: Image, file: string): readonly string[] {
  const names = [backingName(image), dataFileName(image)].flatMap((name) => {
    if (name === undefined) return [];
    if (name.startsWith('json:')) return namesInJson(name.slice('json:'.length));
    if (name.startsWith('file:')) return [name.slice('file:'.length)];
    return PROTOCOL.test(name) ? [] : [name];
  });
  // From a server no relative name leads to a file of the host.
  if (isUrl(file)) return names.filter((name) => path.isAbsolute(name));
  return names.map((name) => path.resolve(path.dirname(file), name));
}

/** The values of `filename`, however deep they lie, and of `file.filename`. */
function namesInJson(text: string): readonly string[] {
  const names: string[] = [];
  try {
    JSON.parse(text, (key, value: unknown) => {
      if (/(^|\.)filename$/.test(key) && typeof value === 'string') names.push(value);
      return value;
    });
  } catch {
    // QEMU opens no such name either.
  }
  return names;
}
