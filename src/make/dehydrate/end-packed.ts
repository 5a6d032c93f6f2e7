import type { BlockDevice } from '../../io/device.js';
import { holdsCluster } from '../../read/check/packed-end.js';
import type { Compressor } from '../../read/guest/platform.js';
import type { ImageParts } from './find-parts.js';
import { packedRooms } from './packed-rooms.js';

/**
 * A file may end within the last sector of a compressed cluster. Whether it was cut off there, a check tells by the packed
 * data, of all data of these clusters alone. So each that is whole becomes a packed cluster of zeros.
 */
export async function endPacked(
  parts: ImageParts,
  device: BlockDevice,
  compressor: Compressor,
): Promise<void> {
  const { source, fileSizeBytes, geometry, header } = parts.image;
  const { clusterBytes } = geometry;
  const rooms = packedRooms(parts).filter(({ at }) => parts.packed.get(at)! > fileSizeBytes);
  if (rooms.length === 0) return;
  const { compressionType } = header;
  const [zeros] = await compressor.compress(compressionType, [new Uint8Array(clusterBytes)]);
  for (const { at, bytes } of rooms) {
    const stored = new Uint8Array(fileSizeBytes - at);
    await source.readBatch([{ at, into: stored }]);
    const isWhole = holdsCluster(compressionType, stored, clusterBytes);
    if (isWhole && zeros !== undefined && zeros.length <= bytes) {
      await device.writeBatch([{ at, bytes: zeros }]);
    }
  }
}
