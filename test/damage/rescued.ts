/** How much of each disk a rescued copy brought back, to the sector. */
import { readFileSync } from 'node:fs';
import { isSame, isZero, PlainImage, type Content, type PlainDisk } from './plain-image.js';

const SECTOR = 512;

/** Brings back what it can of a damaged image: the bytes of the images that it wrote. */
export type Rescue = (damaged: Uint8Array) => Promise<readonly Uint8Array[]>;

/** No rescue: what can be read of the damaged image as it is. */
export const asItIs: Rescue = (damaged) => Promise.resolve([damaged]);

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
    const clusters = [...sound.mapped(disk)].flatMap((guest): Wanted[] => {
      const content = sound.content(disk, guest);
      if (content === undefined || content === 'unreadable') return [];
      return [{ guest, content, bytes: bytesIn(content) }];
    });
    const found = copies.flatMap((copy) =>
      copy.disks.map((candidate) =>
        clusters.reduce((sum, wanted) => sum + backIn(wanted, sound, copy, candidate), 0),
      ),
    );
    const bytes = clusters.reduce((sum, each) => sum + each.bytes, 0);
    return { position: disk.position, bytes, back: Math.max(0, ...found) };
  });
}

/** The same for copies in files. What is no image brings nothing back. */
export function sharesOfFiles(sound: PlainImage, paths: readonly string[]): readonly Share[] {
  return sharesOfBytes(
    sound,
    paths.map((path) => new Uint8Array(readFileSync(path))),
  );
}

export function sharesOfBytes(sound: PlainImage, copies: readonly Uint8Array[]): readonly Share[] {
  const images = copies.map((bytes) => PlainImage.of(bytes));
  return sharesOf(
    sound,
    images.filter((image) => image !== undefined),
  );
}

/** A guest cluster that is to come back. */
interface Wanted {
  readonly guest: number;
  readonly content: Uint8Array;
  /** In sectors that are not all zeros. */
  readonly bytes: number;
}

function bytesIn(content: Uint8Array): number {
  let bytes = 0;
  for (let at = 0; at < content.length; at += SECTOR) {
    if (!isZero(content.subarray(at, at + SECTOR))) bytes += SECTOR;
  }
  return bytes;
}

function backIn(
  { guest, content, bytes }: Wanted,
  sound: PlainImage,
  copy: PlainImage,
  disk: PlainDisk,
): number {
  if (copy.clusterBytes === sound.clusterBytes && isSame(content, copy.content(disk, guest))) {
    return bytes;
  }
  let back = 0;
  for (let at = 0; at < content.length; at += SECTOR) {
    const sector = content.subarray(at, at + SECTOR);
    if (isZero(sector)) continue;
    const other = readSector(copy, disk, guest * sound.clusterBytes + at);
    if (other instanceof Uint8Array && isSame(sector, other)) back += SECTOR;
  }
  return back;
}

/** The copy may have clusters of another size. */
function readSector(copy: PlainImage, disk: PlainDisk, at: number): Content {
  const guest = Math.floor(at / copy.clusterBytes);
  const content = copy.content(disk, guest);
  if (!(content instanceof Uint8Array)) return content;
  const within = at - guest * copy.clusterBytes;
  return content.subarray(within, within + SECTOR);
}
