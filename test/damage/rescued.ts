/** How much of each disk a rescued copy brought back, to the sector. */
import { isZero, type Content, type PlainDisk, type PlainImage } from './plain-image.js';

const SECTOR = 512;

export interface Share {
  readonly position: number | 'active';
  /** Bytes of the sound disk in sectors that are not all zeros. */
  readonly bytes: number;
  /** Of those, bytes that the copy reads the same. */
  readonly back: number;
}

/**
 * The share of each disk of the sound image that came back. A disk of the copy is taken for the one
 * that most of it came from, whatever it is called: the names may have been lost.
 *
 * @param copies whatever the rescue wrote, read plainly: one image, or several.
 */
export function sharesOf(sound: PlainImage, copies: readonly PlainImage[]): readonly Share[] {
  return sound.disks.map((disk) => {
    const bytes = compare(sound, disk, undefined, undefined).bytes;
    const found = copies.flatMap((copy) =>
      copy.disks.map((candidate) => compare(sound, disk, copy, candidate).back),
    );
    return { position: disk.position, bytes, back: Math.max(0, ...found) };
  });
}

function compare(
  sound: PlainImage,
  disk: PlainDisk,
  copy: PlainImage | undefined,
  candidate: PlainDisk | undefined,
): { readonly bytes: number; readonly back: number } {
  let [bytes, back] = [0, 0];
  for (const guest of sound.mapped(disk)) {
    const content = sound.content(disk, guest);
    if (content === undefined || content === 'unreadable') continue;
    for (let at = 0; at < content.length; at += SECTOR) {
      const sector = content.subarray(at, at + SECTOR);
      if (isZero(sector)) continue;
      bytes += SECTOR;
      if (copy === undefined || candidate === undefined) continue;
      const other = readSector(copy, candidate, guest * sound.clusterBytes + at);
      if (other instanceof Uint8Array && Buffer.compare(sector, other) === 0) back += SECTOR;
    }
  }
  return { bytes, back };
}

/** The copy may have clusters of another size. */
function readSector(copy: PlainImage, disk: PlainDisk, at: number): Content {
  const guest = Math.floor(at / copy.clusterBytes);
  const content = copy.content(disk, guest);
  if (!(content instanceof Uint8Array)) return content;
  const within = at - guest * copy.clusterBytes;
  return content.subarray(within, within + SECTOR);
}
