import type { QcowDisk } from '../../../index.js';
import type { HashLimits, PieceRange } from './pieces.js';

/** Ranges of one image: a table that claims a disk of exabytes must not fill the queue. */
const RANGES_MAX = 10_000;

/** How many pieces one job reads: more where the disks of an image would need too many jobs. */
export function piecesPerJob(
  diskBytes: readonly number[],
  { pieceBytes, piecesPerJob: usual }: HashLimits,
): number {
  const pieces = diskBytes.reduce((sum, bytes) => sum + Math.ceil(bytes / pieceBytes), 0);
  return Math.max(usual, Math.ceil(pieces / RANGES_MAX));
}

/**
 * The ranges of a disk that have to be read: those of which the tables do not say that all of it is zeros.
 *
 * @returns undefined where the disk leaves data to another file or is encrypted: nobody reads it here.
 * @throws QsnapError where its tables are damaged.
 */
export async function rangesToRead(
  disk: QcowDisk,
  position: number,
  pieceBytes: number,
  piecesInRange: number,
): Promise<readonly PieceRange[] | undefined> {
  const { guest, sizeBytes } = disk;
  const rangeBytes = pieceBytes * piecesInRange;
  const allPieces = Math.ceil(sizeBytes / pieceBytes);
  const ranges: PieceRange[] = [];
  let next = 0;
  for await (const batch of guest.extents(0, sizeBytes)) {
    for (const { kind, start, length } of batch) {
      if (kind === 'zero' || kind === 'unallocated') continue;
      if (kind === 'backing' || guest.encrypted || guest.externalData) return undefined;
      const last = Math.floor((start + length - 1) / rangeBytes);
      for (next = Math.max(next, Math.floor(start / rangeBytes)); next <= last; next++) {
        const firstPiece = next * piecesInRange;
        const pieces = Math.min(piecesInRange, allPieces - firstPiece);
        ranges.push({ position, firstPiece, pieces });
      }
    }
  }
  return ranges;
}
