import type { QcowDisk } from '../../../index.js';
import { newSha256 } from '../../../node/index.js';
import type { HashedRange, PieceRange } from './pieces.js';

const ZEROS = new Uint8Array(2 ** 20);
/** Digests of zeros that are hashed at a time. */
const DIGESTS_AT_ONCE = 32_768;

/** What a guest reads of a stretch of a disk, hashed in one. @throws QsnapError why it can't be read. */
export async function digestOf(
  disk: QcowDisk,
  at = 0,
  length = disk.sizeBytes - at,
): Promise<string> {
  const hasher = newSha256();
  for await (const chunk of disk.stream({ at, length })) hasher.update(chunk);
  return hasher.digest();
}

/**
 * The SHA-256 of each piece of a range in hex, one after the other. Of a piece of which the tables say that all of it is
 * zeros nothing is read.
 *
 * @throws QsnapError why it can't be read.
 */
export async function digestsOfRange(
  disk: QcowDisk,
  { firstPiece, pieces }: PieceRange,
  pieceBytes: number,
): Promise<string> {
  const digests: string[] = [];
  for (let piece = firstPiece; piece < firstPiece + pieces; piece++) {
    const at = piece * pieceBytes;
    const length = Math.min(pieceBytes, disk.sizeBytes - at);
    digests.push(
      (await isZeros(disk, at, length)) ? zerosDigest(length) : await digestOf(disk, at, length),
    );
  }
  return digests.join('');
}

async function isZeros({ guest }: QcowDisk, at: number, length: number): Promise<boolean> {
  for await (const batch of guest.extents(at, at + length)) {
    if (batch.some(({ kind }) => kind !== 'zero' && kind !== 'unallocated')) return false;
  }
  return true;
}

const zerosDigests = new Map<number, string>();

/** It takes as long as to read so many bytes, and a disk has two lengths of pieces. */
function zerosDigest(length: number): string {
  const known = zerosDigests.get(length);
  if (known !== undefined) return known;
  const hasher = newSha256();
  for (let left = length; left > 0; left -= ZEROS.length) {
    hasher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
  }
  const digest = hasher.digest();
  zerosDigests.set(length, digest);
  return digest;
}

/**
 * The hash of a disk in pieces, as checksums of S3 are written that are composed of those of parts: the SHA-256 of all
 * digests, and how many there are.
 *
 * @param ranges ascending; what they leave out is zeros.
 */
export function compositeDigest(
  sizeBytes: number,
  pieceBytes: number,
  ranges: readonly HashedRange[],
): string {
  const hasher = newSha256();
  const allPieces = Math.ceil(sizeBytes / pieceBytes);
  const lastBytes = sizeBytes - (allPieces - 1) * pieceBytes;
  let next = 0;
  const addZeros = (end: number): void => {
    const whole = end === allPieces ? end - 1 : end;
    while (next < whole) {
      const count = Math.min(DIGESTS_AT_ONCE, whole - next);
      hasher.update(Buffer.alloc(count * 32, zerosDigest(pieceBytes), 'hex'));
      next += count;
    }
    if (next < end) hasher.update(Buffer.from(zerosDigest(lastBytes), 'hex'));
    next = end;
  };
  for (const { firstPiece, pieces, digests } of ranges) {
    addZeros(firstPiece);
    hasher.update(Buffer.from(digests, 'hex'));
    next = firstPiece + pieces;
  }
  if (next < allPieces) addZeros(allPieces);
  return `${hasher.digest()}-${allPieces}`;
}
