import type { BlockSource } from '../../io/device.js';
import { refuseWrong, RESUME } from '../known-options.js';
import type {
  ApplyingTogether,
  CreatingTogether,
  EditOptions,
  ProgressOptions,
  ResumingOptions,
} from '../options.js';
import { applying, creating, deleting } from './asked.js';
import { GroupWork, type DoneGroupEdit, type PlannedGroupEdit } from './group-work.js';
import type { GroupListing } from './listing.js';
import type { FoundRecord, RecordStore } from './record.js';

/**
 * Several images that are edited together by the names of their snapshots, all or none: the disks of a machine and its
 * NVRAM. As long as some have an edit and others have not, a record lies beside one of them, and `resume` brings the
 * others to it.
 *
 * Edits come one after the other, as of `QcowImage`.
 */
export class ImageGroup<Source extends BlockSource = BlockSource> {
  /** The open files of the images, in the order in which they were named. */
  readonly sources: readonly Source[];
  readonly #work: GroupWork<Source>;

  constructor(sources: readonly Source[], store: RecordStore) {
    this.sources = sources;
    this.#work = new GroupWork(sources, store);
  }

  /**
   * Takes a snapshot of every image, of one name and one date.
   *
   * ```ts
   * await using group = await openGroup(['vm.qcow2', 'nvram.qcow2'], { write: true });
   * await group.create('before upgrade');
   * ```
   *
   * @throws QsnapError GROUP_UNFINISHED, GROUP_RECORD_INVALID, and what `create` of one image throws, with the image as
   *   `details.file`. `details.imageState` holds for all images; where they differ, `details.imageStates` has each.
   */
  async create(name: string, options: CreatingTogether & EditOptions = {}): Promise<DoneGroupEdit> {
    return this.#work.edit(creating(name, options), options);
  }

  /** The plans of `create`, to look at. */
  async planCreate(
    name: string,
    options: CreatingTogether & ProgressOptions = {},
  ): Promise<PlannedGroupEdit> {
    return this.#work.plan(creating(name, options), options);
  }

  /**
   * Makes the disk of a snapshot the active one, on every image.
   *
   * ```ts
   * await group.apply('golden', { saveAs: 'before golden' });
   * ```
   *
   * @param snapshot its name; a selector such as `id:3` where that means snapshots of one name on all images.
   * @throws QsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS, UNSAVED_CHANGES; see `create`.
   */
  async apply(
    snapshot: string,
    options: ApplyingTogether & EditOptions = {},
  ): Promise<DoneGroupEdit> {
    return this.#work.edit(applying(snapshot, options), options);
  }

  /** The plans of `apply`, to look at. */
  async planApply(
    snapshot: string,
    options: ApplyingTogether & ProgressOptions = {},
  ): Promise<PlannedGroupEdit> {
    return this.#work.plan(applying(snapshot, options), options);
  }

  /**
   * Deletes one snapshot or several from every image.
   *
   * ```ts
   * await group.delete(['monday', 'tuesday']);
   * ```
   *
   * @param snapshots as for `apply`. Each has to be on every image.
   * @throws QsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS; see `create`.
   */
  async delete(
    snapshots: string | readonly string[],
    options: EditOptions = {},
  ): Promise<DoneGroupEdit> {
    return this.#work.edit(deleting(snapshots, options), options);
  }

  /** The plans of `delete`, to look at. */
  async planDelete(
    snapshots: string | readonly string[],
    options: ProgressOptions = {},
  ): Promise<PlannedGroupEdit> {
    return this.#work.plan(deleting(snapshots, options), options);
  }

  /**
   * Brings a group edit that was cut to its end: what images don't have yet is planned as they are now, and carried out.
   *
   * ```ts
   * const done = await group.resume();
   * console.log(done === undefined ? 'nothing was cut' : `${done.images.length} were left`);
   * ```
   *
   * @returns undefined where no edit is unfinished.
   * @throws QsnapError GROUP_UNFINISHED where the record is of another edit or of other images; GROUP_CHANGED;
   *   see `create`.
   */
  async resume(options: ResumingOptions & EditOptions = {}): Promise<DoneGroupEdit | undefined> {
    refuseWrong(options, RESUME);
    return this.#work.resume(options);
  }

  /** The plans of `resume`, to look at. */
  async planResume(
    options: ResumingOptions & ProgressOptions = {},
  ): Promise<PlannedGroupEdit | undefined> {
    refuseWrong(options, RESUME);
    return this.#work.planResume(options);
  }

  /**
   * The edit that was cut, if there is one.
   *
   * @throws QsnapError GROUP_RECORD_INVALID, OPEN_FAILED, READ_FAILED.
   */
  async unfinished(): Promise<FoundRecord | undefined> {
    return this.#work.unfinished();
  }

  /**
   * Which names are on which images, and what their active disks grew from.
   *
   * ```ts
   * const { names, driftedApart } = await group.list();
   * for (const { name, isEverywhere } of names) console.log(name, isEverywhere);
   * ```
   *
   * @throws QsnapError NOT_QCOW2 and the other codes of a header that can't be read, READ_FAILED.
   */
  async list(): Promise<GroupListing> {
    return this.#work.list();
  }

  /** Closes all files, once the work that was asked for has ended. */
  close(): Promise<void> {
    return this.#work.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#work.close();
  }
}
