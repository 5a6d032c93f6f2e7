/** How much of each disk a rescued copy brought back, to the sector. */
import { readFileSync } from 'node:fs';
import {
  chooseRescued,
  isQsnapError,
  memoryDevice,
  planRescue,
  writeRescued,
} from '../../src/index.js';
import { isSame, isZero, PlainImage, type Content, type PlainDisk } from './plain-image.js';

const SECTOR = 512;

/** Brings back what it can of a damaged image: the bytes of the images that it wrote. */
export type Rescue = (damaged: Uint8Array) => Promise<readonly Uint8Array[]>;

/** What `qsnap rescue` writes unless it is told more: guesses are left out. Nothing where nothing is found. */
export const byQsnap: Rescue = async (damaged) => {
  const copy = memoryDevice();
  try {
    const plan = await planRescue(memoryDevice(damaged));
    await writeRescued(plan, chooseRescued(plan), copy);
  } catch (error) {
    if (!isQsnapError(error) || error.kind === 'internal') throw error;
    return [];
  }
  return [copy.snapshotBytes()];
};

export interface Share {
  readonly position: number | 'active';
  /** Bytes of the sound disk in sectors that are not all zeros. */
  readonly bytes: number;
  /** Of those, bytes in host clusters that the damage left as they were. */
  readonly there: number;
  /** Of all, bytes that the copy reads the same. */
  readonly back: number;
}

/**
 * The share of each disk of the sound image that came back. Names may have been lost, so a disk of the
 * copy is taken for the one that most of it came from; but it is taken for one alone.
 *
 * @param copies whatever the rescue wrote, read plainly: one image, or several.
 */
export function sharesOf(
  sound: PlainImage,
  damaged: Uint8Array,
  copies: readonly PlainImage[],
): readonly Share[] {
  const wanted = sound.disks.map((disk) => wantedOf(sound, damaged, disk));
  const candidates = copies.flatMap((copy) => copy.disks.map((disk) => ({ copy, disk })));
  const pairs = wanted.flatMap((clusters, i) =>
    candidates.map((candidate) => ({
      i,
      candidate,
      isNamesake: candidate.disk.id === sound.disks[i]!.id,
      back: clusters.reduce(
        (sum, each) => sum + backIn(each, sound, candidate.copy, candidate.disk),
        0,
      ),
    })),
  );
  pairs.sort((a, b) => b.back - a.back || Number(b.isNamesake) - Number(a.isNamesake));
  const [found, taken] = [new Map<number, number>(), new Set<object>()];
  for (const { i, candidate, back } of pairs) {
    if (found.has(i) || taken.has(candidate)) continue;
    found.set(i, back);
    taken.add(candidate);
  }
  return sound.disks.map(({ position }, i) => ({
    position,
    bytes: sumOf(wanted[i]!),
    there: sumOf(wanted[i]!.filter(({ isThere }) => isThere)),
    back: found.get(i) ?? 0,
  }));
}

function wantedOf(sound: PlainImage, damaged: Uint8Array, disk: PlainDisk): readonly Wanted[] {
  return [...sound.mapped(disk)].flatMap((guest): Wanted[] => {
    const content = sound.content(disk, guest);
    if (content === undefined || content === 'unreadable') return [];
    const isThere = sound
      .hostClusters(sound.entry(disk, guest)!)
      .every((cluster) => isLeft(sound, damaged, cluster));
    return [{ guest, content, isThere, bytes: bytesIn(content) }];
  });
}

/** The same for copies in files. What is no image brings nothing back. */
export function sharesOfFiles(
  sound: PlainImage,
  damaged: Uint8Array,
  paths: readonly string[],
): readonly Share[] {
  return sharesOfBytes(
    sound,
    damaged,
    paths.map((path) => new Uint8Array(readFileSync(path))),
  );
}

export function sharesOfBytes(
  sound: PlainImage,
  damaged: Uint8Array,
  copies: readonly Uint8Array[],
): readonly Share[] {
  const images = copies.map((bytes) => PlainImage.of(bytes));
  return sharesOf(
    sound,
    damaged,
    images.filter((image) => image !== undefined),
  );
}

/** A guest cluster that is to come back. */
interface Wanted {
  readonly guest: number;
  readonly content: Uint8Array;
  readonly isThere: boolean;
  /** In sectors that are not all zeros. */
  readonly bytes: number;
}

const sumOf = (clusters: readonly Wanted[]): number =>
  clusters.reduce((sum, { bytes }) => sum + bytes, 0);

function isLeft(sound: PlainImage, damaged: Uint8Array, cluster: number): boolean {
  const was = sound.hostCluster(cluster);
  const at = cluster * sound.clusterBytes;
  return Buffer.compare(was, damaged.subarray(at, at + was.length)) === 0;
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
