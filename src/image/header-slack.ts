import { roundUp } from '../base/units.js';
import type { ByteRange } from '../io/device.js';
import type { Image } from './image.js';

/** Of a header extension: type and length. An end marker is that alone. Spec: Header extensions. */
const EXTENSION_HEAD_BYTES = 8;

/** The first cluster without header, extensions, their end marker and the name of the backing file. */
export function headerSlack(image: Image): readonly ByteRange[] {
  const { clusterBytes } = image.geometry;
  const name = image.header.backingName;
  const end = extensionsEnd(image);
  if (name.bytes === 0) return [between(end, clusterBytes)];
  const nameEnd = name.at + name.bytes;
  return [between(end, name.at), between(Math.max(end, nameEnd), clusterBytes)];
}

/** Where the extensions end, behind the end marker. There is none where they fill their area. */
function extensionsEnd({ header, extensions, geometry }: Image): number {
  const last = extensions.at(-1);
  const end =
    last === undefined
      ? header.headerBytes
      : last.at + EXTENSION_HEAD_BYTES + roundUp(last.bytes.length, 8);
  const areaEnd = header.backingName.at === 0 ? geometry.clusterBytes : header.backingName.at;
  return end < areaEnd ? end + EXTENSION_HEAD_BYTES : end;
}

const between = (at: number, end: number): ByteRange => ({ at, length: end - at });
