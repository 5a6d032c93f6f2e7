import { isQsnapError } from '../../errors.js';
import { openForReading, type ReadableImage } from '../../image/open-for-reading.js';
import type { BlockSource } from '../../io/device.js';
import { placeOfReadable } from '../../edit/snapshot/unsaved.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';

/** No more tables than these are read of each image to find what its active disk grew from. */
const TABLES_MAX = 512;
/** Snapshots of one name that are further apart were not taken together. In seconds. */
const APART_MIN_S = 60;

/** What a group has: which names are on which images, and what their active disks grew from. */
export interface GroupListing {
  readonly images: readonly ListedImage[];
  /** One for each name, in the order in which they first appear. */
  readonly names: readonly ListedName[];
  /** Whether the active disks grew from snapshots of different names. */
  readonly driftedApart: boolean;
}

/** One image of a listing. */
export interface ListedImage {
  readonly file: string;
  readonly image: ReadableImage;
  /**
   * The snapshots that its active disk equals, or the one that it grew from. Empty: there is none, or which one can't be
   * told.
   */
  readonly standsOn: readonly Snapshot[];
  /** Whether it equals them. */
  readonly isEqual: boolean;
}

/** The snapshots of one name. */
export interface ListedName {
  readonly name: string;
  /** For each image those of this name, mostly one or none. */
  readonly snapshots: readonly (readonly Snapshot[])[];
  /** Whether each image has one. */
  readonly isEverywhere: boolean;
  /** Whether their dates are more than a minute apart. */
  readonly datesApart: boolean;
}

/** Lists one image of a group. @throws QsnapError what `openForReading` throws. */
export async function listImage(source: BlockSource): Promise<ListedImage> {
  const image = await openForReading(source);
  const { standsOn, isEqual } = await standOf(image);
  return { file: source.label, image, standsOn, isEqual };
}

async function standOf(image: ReadableImage): Promise<Pick<ListedImage, 'standsOn' | 'isEqual'>> {
  try {
    const place = await placeOfReadable(image, TABLES_MAX);
    const equal = image.snapshots.filter(({ index }) => place?.equal.has(index) === true);
    if (equal.length > 0) return { standsOn: equal, isEqual: true };
    const nearest = place?.grewFrom?.nearest;
    return { standsOn: nearest === undefined ? [] : [nearest], isEqual: false };
  } catch (error) {
    // What can be listed is listed, however damaged the tables are.
    if (!isQsnapError(error) || error.kind !== 'image') throw error;
    return { standsOn: [], isEqual: false };
  }
}

/** Puts the lists of all images side by side. */
export function groupListing(images: readonly ListedImage[]): GroupListing {
  const all = images.flatMap(({ image }) => image.snapshots.map(({ name }) => name));
  const names = [...new Set(all)].map((name) => listedName(name, images));
  return { images, names, driftedApart: haveDrifted(images) };
}

function listedName(name: string, images: readonly ListedImage[]): ListedName {
  const snapshots = images.map(({ image }) => image.snapshots.filter((one) => one.name === name));
  const dates = snapshots.flat().map(({ date }) => date.seconds);
  return {
    name,
    snapshots,
    isEverywhere: snapshots.every((ofOne) => ofOne.length > 0),
    datesApart: Math.max(...dates) - Math.min(...dates) > APART_MIN_S,
  };
}

/** Of images that are not known to stand on any snapshot nothing is said. */
function haveDrifted(images: readonly ListedImage[]): boolean {
  const [first, ...others] = images
    .filter(({ standsOn }) => standsOn.length > 0)
    .map(({ standsOn }) => standsOn.map(({ name }) => name));
  if (first === undefined) return false;
  return !first.some((name) => others.every((names) => names.includes(name)));
}
