/** An image whose disks are large by limits that are small, and what its hashes should be. */
import { createHash } from 'node:crypto';
import { HASH_LIMITS, type HashLimits } from '../../src/cli/fleet/examine/pieces.js';
import { memoryDevice, openQcow } from '../../src/index.js';
import {
  buildImage,
  guestWrite,
  guestWriteCompressed,
  guestZero,
  layoutOf,
  readGuest,
  snapshotsOf,
  type PlainDisk,
} from './image-builder.js';

/** Disks of more than 64 KiB, four clusters a piece. */
export const SMALL_LIMITS: HashLimits = {
  ...HASH_LIMITS,
  wholeBytes: 64 * 1024,
  pieceBytes: 16 * 1024,
  piecesPerJob: 3,
};

/** Of 16 pieces, the last one shorter. */
const DISK_BYTES = 250 * 1024;
/** Ranges with data: pieces 0 to 2, 3 to 5 and 15 of each of two disks, and 9 to 11 of the active one. */
export const RANGES = 7;
/** The byte that they are made of, with numbers added to it. */
export const FILL = 7;
const DATE = { seconds: 1_790_000_000, nanoseconds: 0 };

/** Two large disks, the active one and a snapshot, with data here and there. */
export async function largeImage(fill = FILL): Promise<Uint8Array> {
  const disk: PlainDisk = { bytes: buildImage({ diskSizeBytes: DISK_BYTES }) };
  for (const cluster of [0, 5, 13, 62]) guestWrite(disk, cluster, fill + cluster);
  guestZero(disk, 30, false);
  disk.bytes = await withSnapshot(disk.bytes);
  guestWrite(disk, 5, fill);
  guestWriteCompressed(disk, 40, Uint8Array.of(fill + 1, fill + 2));
  return disk.bytes;
}

async function withSnapshot(bytes: Uint8Array): Promise<Uint8Array> {
  const device = memoryDevice(bytes.slice());
  await using image = await openQcow(device);
  await image.create('before', { date: DATE });
  const after = new Uint8Array(await device.sizeBytes());
  await device.readBatch([{ at: 0, into: after }]);
  return after;
}

/** By position, as plain code makes them of what a guest reads. */
export function wantedHashes(bytes: Uint8Array): readonly string[] {
  return [layoutOf(bytes), ...snapshotsOf(bytes).snapshots].map((one) =>
    composite(readGuest(bytes, one), SMALL_LIMITS.pieceBytes),
  );
}

/** SHA-256 of the pieces' SHA-256, and how many there are. */
export function composite(content: Uint8Array, pieceBytes: number): string {
  const all = createHash('sha256');
  const pieces = Math.ceil(content.length / pieceBytes);
  for (let i = 0; i < pieces; i++) {
    all.update(
      createHash('sha256')
        .update(content.subarray(i * pieceBytes, (i + 1) * pieceBytes))
        .digest(),
    );
  }
  return `${all.digest('hex')}-${pieces}`;
}
