import { MiB } from '../../base/units.js';
import type { BlockDevice } from '../../io/device.js';
import type { Compressor } from '../../read/guest/platform.js';
import type { ImageParts } from './find-parts.js';
import { packedRooms } from './packed-rooms.js';
import { packedPattern } from './pattern.js';

/** Bytes of clusters that are packed at a time. */
const BATCH_BYTES = 4 * MiB;
/** What fills a cluster in whose room the pattern does not fit. */
const PLAIN = 0x71;

/** How many compressed clusters were filled, and how many not. */
export interface FilledPacked {
  readonly filled: number;
  readonly leftOut: number;
}

/** Writes packed patterns to where compressed clusters lie. */
export async function fillPacked(
  parts: ImageParts,
  device: BlockDevice,
  compressor: Compressor | undefined,
): Promise<FilledPacked> {
  const { header, geometry } = parts.image;
  const { clusterBytes } = geometry;
  const rooms = packedRooms(parts);
  if (compressor === undefined) return { filled: 0, leftOut: parts.packed.size };
  const pack = (clusters: Uint8Array[]): ReturnType<Compressor['compress']> =>
    compressor.compress(header.compressionType, clusters);
  const [plain] = rooms.length === 0 ? [] : await pack([new Uint8Array(clusterBytes).fill(PLAIN)]);
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / clusterBytes));
  let filled = 0;
  for (let first = 0; first < rooms.length; first += perBatch) {
    const some = rooms.slice(first, first + perBatch);
    const packed = await pack(some.map(({ at }) => packedPattern(at, clusterBytes)));
    const writes = some.flatMap(({ at, bytes }, i) => {
      const fits = [packed[i], plain].find((one) => one !== undefined && one.length <= bytes);
      return fits === undefined ? [] : [{ at, bytes: fits }];
    });
    await device.writeBatch(writes);
    filled += writes.length;
  }
  return { filled, leftOut: parts.packed.size - filled };
}
