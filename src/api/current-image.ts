import { isQsnapError, type QsnapError } from '../errors.js';
import { refuseUnread } from '../image/image.js';
import type { ReadableImage } from '../image/open-for-reading.js';
import { openForReading } from '../image/open-for-reading.js';
import type { BlockSource } from '../io/device.js';
import { editsBegun } from '../io/edits.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { SnapshotChoice } from './options.js';
import { chosen } from './planners.js';

/** What an image says of itself now: read anew after every edit, whoever did it through the source. */
export class CurrentImage {
  readonly source: BlockSource;
  /** What went wrong where it could not be read after an edit. */
  #known: ReadableImage | QsnapError;

  constructor(image: ReadableImage) {
    this.source = image.source;
    this.#known = image;
  }

  /** As it was read last. @throws QsnapError why it could not be read after the last edit. */
  get known(): ReadableImage {
    if (isQsnapError(this.#known)) throw this.#known;
    return this.#known;
  }

  /** As it is. @throws QsnapError what `openForReading` throws. */
  async fresh(): Promise<ReadableImage> {
    const known = this.#known;
    if (!isQsnapError(known) && known.editsBefore === editsBegun(this.source)) return known;
    try {
      return (this.#known = await openForReading(this.source));
    } catch (error) {
      if (isQsnapError(error)) this.#known = error;
      throw error;
    }
  }

  /**
   * Does what changes the image, and reads it anew.
   *
   * @throws QsnapError what the change throws; why the image can't be read afterwards, with `imageState` "new".
   */
  async after<T>(
    change: () => Promise<T>,
  ): Promise<{ readonly done: T; readonly image: ReadableImage }> {
    const done = await change().catch(async (error: unknown) => {
      // The first error is the one to tell; whoever asks the image gets the second.
      await this.fresh().catch(() => undefined);
      throw error;
    });
    const image = await this.fresh().catch((error: unknown) => {
      throw isQsnapError(error) ? error.with({ imageState: 'new' }) : error;
    });
    return { done, image };
  }
}

/** All snapshots of an image. @throws QsnapError why there may be more than can be read. */
export function allSnapshots({ snapshots, unread }: ReadableImage): readonly Snapshot[] {
  const lost = unread.find(({ structure }) => structure === 'snapshot table');
  if (lost !== undefined) throw lost.reason;
  return snapshots;
}

/** @throws QsnapError why there are disks of the image that can't be read whole. */
export function refuseUnreadDisks(image: ReadableImage): void {
  for (const disk of [undefined, ...allSnapshots(image)]) refuseUnread(image, disk);
}

/** One that can be read, of a table that may be damaged further on. @throws QsnapError as `chosen`. */
export function readableSnapshot(image: ReadableImage, choice: SnapshotChoice): Snapshot {
  try {
    return chosen(image, choice);
  } catch (error) {
    if (isQsnapError(error) && error.code === 'SNAPSHOT_NOT_FOUND') allSnapshots(image);
    throw error;
  }
}
