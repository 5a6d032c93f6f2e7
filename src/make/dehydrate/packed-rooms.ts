import { isDataAlone, type ImageParts } from './find-parts.js';

/** Room for the packed data of a cluster. */
export interface PackedRoom {
  /** Byte offset in the file. */
  readonly at: number;
  readonly bytes: number;
}

/**
 * From the start of each compressed cluster to that of the next one, or to the end of the sectors that it may touch, or of
 * the file. Those that share a cluster with anything but guest data are left out.
 */
export function packedRooms(parts: ImageParts): readonly PackedRoom[] {
  const { packed, image } = parts;
  const { clusterBytes } = image.geometry;
  const starts = Float64Array.from(packed.keys()).sort();
  return Array.from(starts, (at, i) => {
    const end = Math.min(packed.get(at)!, starts[i + 1] ?? Infinity, image.fileSizeBytes);
    return { at, bytes: end - at };
  }).filter(({ at, bytes }) => {
    const last = Math.floor((at + bytes - 1) / clusterBytes);
    for (let cluster = Math.floor(at / clusterBytes); cluster <= last; cluster++) {
      if (!isDataAlone(parts, cluster)) return false;
    }
    return true;
  });
}
