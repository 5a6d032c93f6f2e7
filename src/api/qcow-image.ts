import { throwIfAborted } from '../base/abort.js';
import { isQsnapError, QsnapError } from '../errors.js';
import { backingName, type Unread } from '../image/image.js';
import type { ReadableImage } from '../image/open-for-reading.js';
import type { BlockDevice, BlockSource } from '../io/device.js';
import { settled } from '../io/settled.js';
import type { Header } from '../qcow2/header.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import { checkImage } from '../read/check/check-image.js';
import type { CheckOptions, CheckReport } from '../read/check/report.js';
import { computeUnsavedChanges, type UnsavedChanges } from '../edit/snapshot/unsaved.js';
import { carryOut, planOnly } from './carry-out.js';
import { allSnapshots, CurrentImage } from './current-image.js';
import type {
  ApplyingOptions,
  DeletingOptions,
  DiskOptions,
  EditOptions,
  NewSnapshotOptions,
  OpenQcowOptions,
  ProgressOptions,
  ResizingOptions,
  SnapshotChoice,
  WorkOptions,
} from './options.js';
import { ownedBytes, type OwnedBytes } from './owned-bytes.js';
import { applying, chosen, creating, deleting, renaming, resizing } from './planners.js';
import {
  doneOf,
  plannedOf,
  type DoneEdit,
  type DoneSnapshotEdit,
  type MadeEdit,
  type PlannedEdit,
  type Planner,
} from './planned-edit.js';
import { openChosenDisk } from './open-disk.js';
import { QcowDisk } from './qcow-disk.js';
import { Queue } from './queue.js';
import { refuseClosed } from './refuse.js';

/** How an edit was planned, to plan it once more. */
interface Origin {
  readonly planner: Planner;
  readonly made: MadeEdit;
}

/** What an edit did, and the snapshots that there are now. */
interface Edited {
  readonly done: DoneEdit;
  readonly snapshots: readonly Snapshot[];
}

/**
 * A qcow2 image on any source. What it says of itself is that of now: after each edit it is read anew. Edits,
 * plans and checks of one image wait for each other. All of it is refused with CLOSED once it is closed.
 *
 * ```ts
 * await using image = await openQcow(memoryDevice(bytes));
 * console.log(image.snapshots.map(({ name }) => name));
 * await image.create('before upgrade');
 * ```
 */
export class QcowImage implements AsyncDisposable {
  /** What the image is read from, for functions of `qsnap` that take a source. The image closes it. */
  readonly source: BlockSource;
  readonly #options: OpenQcowOptions;
  readonly #queue = new Queue();
  readonly #disks = new Set<QcowDisk>();
  readonly #origins = new WeakMap<PlannedEdit, Origin>();
  readonly #current: CurrentImage;
  #closing: Promise<void> | undefined;

  /** Images come from `openQcow`. */
  constructor(image: ReadableImage, options: OpenQcowOptions) {
    this.source = image.source;
    this.#current = new CurrentImage(image);
    this.#options = options;
  }

  /** What people call it: a path, a URL, "memory". */
  get label(): string {
    return this.source.label;
  }

  /** Whether it was opened for writing. */
  get writable(): boolean {
    // Types say so of a device; what is open may be any source.
    return (this.source as Partial<BlockDevice>).writeBatch !== undefined;
  }

  /** The header, decoded. Sizes are in bytes. */
  get header(): Header {
    return this.#image.header;
  }

  /** The snapshots in the order of their table. @throws QsnapError why the table can't be read whole. */
  get snapshots(): readonly Snapshot[] {
    return allSnapshots(this.#image);
  }

  /** Size of the active disk in bytes. */
  get diskSizeBytes(): number {
    return this.header.diskSizeBytes;
  }

  /** The backing file's name, or undefined. Only a name: nothing opens it unless a disk is asked to. */
  get backingName(): string | undefined {
    return backingName(this.#image);
  }

  /** What can't be read of a damaged image; empty for a whole one. No edit takes a damaged image. */
  get unread(): readonly Unread[] {
    return this.#image.unread;
  }

  /**
   * Creates a snapshot of the active disk.
   *
   * ```ts
   * const { snapshot } = await image.create('before upgrade');
   * ```
   *
   * @throws QsnapError NAME_INVALID, NAME_IN_USE, ID_INVALID, ID_IN_USE, DATE_INVALID,
   *   TOO_MANY_SNAPSHOTS, and what every edit throws: READ_ONLY, CLOSED, IMAGE_DIRTY,
   *   IMAGE_MARKED_CORRUPT, EXTERNAL_DATA_FILE, IMAGE_DAMAGED, REFCOUNT_OVERFLOW, LIMIT_EXCEEDED,
   *   NO_SPACE, WRITE_FAILED, VERIFY_FAILED, IMAGE_CHANGED, ABORTED, with `details.imageState`.
   */
  async create(
    name: string,
    options: NewSnapshotOptions & EditOptions = {},
  ): Promise<DoneSnapshotEdit> {
    const { done } = await this.#edit(creating(name, options), options);
    return { ...done, snapshot: done.created[0]! };
  }

  /** The plan of `create`, to look at. */
  async planCreate(
    name: string,
    options: NewSnapshotOptions & ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#plan(creating(name, options), options);
  }

  /**
   * Makes the disk of a snapshot the active one, and gives it the size that it had then.
   *
   * ```ts
   * await image.apply('golden', { saveAs: 'before golden' });
   * ```
   *
   * @throws QsnapError UNSAVED_CHANGES where the active disk holds what no snapshot holds, unless told what
   *   becomes of that; SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS, SNAPSHOT_STALE, BITMAPS_PRESENT,
   *   SIZE_DIFFERS_IN_V2, and what `create` throws.
   */
  async apply(
    snapshot: SnapshotChoice,
    options: ApplyingOptions & EditOptions = {},
  ): Promise<DoneEdit> {
    return (await this.#edit(applying(snapshot, options), options)).done;
  }

  /** The plan of `apply`, to look at. */
  async planApply(
    snapshot: SnapshotChoice,
    options: ApplyingOptions & ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#plan(applying(snapshot, options), options);
  }

  /**
   * Deletes one snapshot or several in one edit. The others and the active disk stay bit for bit.
   *
   * ```ts
   * await image.delete(['id:2', 'id:3']);
   * await image.delete(image.snapshots.filter(({ name }) => name.startsWith('nightly ')));
   * ```
   *
   * @throws QsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS, SNAPSHOT_STALE, and what every edit throws:
   *   see `create`.
   */
  async delete(
    snapshots: SnapshotChoice | readonly SnapshotChoice[],
    options: DeletingOptions & EditOptions = {},
  ): Promise<DoneEdit> {
    try {
      return (await this.#edit(deleting(snapshots, options), options)).done;
    } catch (error) {
      throw options.inPlace === true ? error : withInPlace(error);
    }
  }

  /** The plan of `delete`, to look at. */
  async planDelete(
    snapshots: SnapshotChoice | readonly SnapshotChoice[],
    options: DeletingOptions & ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#plan(deleting(snapshots, options), options);
  }

  /**
   * Gives a snapshot another name.
   *
   * ```ts
   * await image.rename('id:5', 'release 1.2');
   * ```
   *
   * @throws QsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS, SNAPSHOT_STALE, NAME_INVALID, NAME_IN_USE,
   *   and what every edit throws: see `create`.
   */
  async rename(
    snapshot: SnapshotChoice,
    name: string,
    options: EditOptions = {},
  ): Promise<DoneSnapshotEdit> {
    // Entries keep their positions.
    let index = 0;
    const planner: Planner = (image, planning) => {
      ({ index } = chosen(image, snapshot));
      return renaming(snapshot, name)(image, planning);
    };
    const { done, snapshots } = await this.#edit(planner, options);
    return { ...done, snapshot: snapshots[index]! };
  }

  /** The plan of `rename`, to look at. */
  async planRename(
    snapshot: SnapshotChoice,
    name: string,
    options: ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#plan(renaming(snapshot, name), options);
  }

  /**
   * Gives the active disk another size. What grows reads as zeros; snapshots keep their sizes.
   *
   * @param diskSizeBytes a multiple of 512.
   * @throws QsnapError SIZE_INVALID, SHRINK_NOT_ALLOWED, PREALLOCATION_REFUSED, SIZE_DIFFERS_IN_V2,
   *   BITMAPS_PRESENT, GROWTH_SHOWS_BACKING, and what every edit throws: see `create`.
   */
  async resize(
    diskSizeBytes: number,
    options: ResizingOptions & EditOptions = {},
  ): Promise<DoneEdit> {
    return (await this.#edit(resizing(diskSizeBytes, options), options)).done;
  }

  /** The plan of `resize`, to look at. */
  async planResize(
    diskSizeBytes: number,
    options: ResizingOptions & ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#plan(resizing(diskSizeBytes, options), options);
  }

  /**
   * Carries out a plan of this image. Where the file turns out not to grow, the same edit is planned once more
   * with the free clusters inside.
   *
   * ```ts
   * const plan = await image.planDelete('golden');
   * console.log(plan.summary, plan.facts.freedBytes);
   * await image.execute(plan);
   * ```
   *
   * @throws QsnapError PLAN_STALE for a plan of another image, and for one that was made before the last edit;
   *   and what every edit throws: see `create`.
   */
  async execute(planned: PlannedEdit, options: EditOptions = {}): Promise<DoneEdit> {
    const origin = this.#origins.get(planned);
    if (origin === undefined) {
      throw new QsnapError('PLAN_STALE', "the plan can't be carried out: it is of another image", {
        file: this.label,
        expected: 'a plan that this image made',
      });
    }
    return (await this.#edit(origin.planner, options, origin.made)).done;
  }

  /**
   * Checks the whole image. What is wrong with it is in the report, and not thrown.
   *
   * ```ts
   * const { findings, exitCode } = await image.check();
   * ```
   *
   * @throws QsnapError CLOSED, READ_FAILED, ABORTED, and why an image can't be opened at all.
   */
  async check(
    options: Omit<CheckOptions, 'onProgress'> & ProgressOptions = {},
  ): Promise<CheckReport> {
    const { onProgress, ...rest } = options;
    return this.#queued(options, () =>
      checkImage(this.source, {
        ...rest,
        onProgress: (done) => onProgress?.({ phase: 'checking', done, total: 1 }),
      }),
    );
  }

  /**
   * How the active disk differs from the snapshot most like it: what `apply` would lose. Undefined where some
   * snapshot has the same disk, or there is none.
   *
   * @throws QsnapError CLOSED, IMAGE_DAMAGED, READ_FAILED, ABORTED.
   */
  async unsavedChanges(options: WorkOptions = {}): Promise<UnsavedChanges | undefined> {
    return this.#queued(options, async () => {
      const image = await this.#current.fresh();
      allSnapshots(image);
      return computeUnsavedChanges(image, options);
    });
  }

  /**
   * Which parts of the file hold guest data or VM state, and which disks have them: whole clusters, ascending.
   *
   * ```ts
   * for await (const { length, active, snapshots } of image.owners()) {
   *   if (!active && snapshots.length === 1) console.log(`${length} bytes of ${snapshots[0]?.name} alone`);
   * }
   * ```
   *
   * @throws QsnapError CLOSED, READ_FAILED, ABORTED, and why a disk of a damaged image can't be read.
   */
  async *owners(options: WorkOptions = {}): AsyncGenerator<OwnedBytes, void, undefined> {
    yield* await this.#queued(options, async () => {
      const image = await this.#current.fresh();
      allSnapshots(image);
      return ownedBytes(image, options.signal);
    });
  }

  /**
   * Opens a disk for reading: the active one, or a snapshot's.
   *
   * ```ts
   * await using disk = await image.disk('golden', { passphrase: 'open sesame' });
   * ```
   *
   * @throws QsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS, SNAPSHOT_STALE, CLOSED, TABLE_INVALID,
   *   PASSPHRASE_WRONG, UNSUPPORTED_ENCRYPTION; with `backing` also BACKING_REFUSED, BACKING_LOOP,
   *   DATA_FILE_REFUSED, OPEN_FAILED and what is wrong with a file below.
   */
  disk(options?: DiskOptions): Promise<QcowDisk>;
  disk(snapshot: SnapshotChoice | undefined, options?: DiskOptions): Promise<QcowDisk>;
  async disk(
    snapshotOrOptions?: SnapshotChoice | DiskOptions,
    moreOptions: DiskOptions = {},
  ): Promise<QcowDisk> {
    const isChoice = typeof snapshotOrOptions === 'string' || isSnapshot(snapshotOrOptions);
    const options = isChoice ? moreOptions : { ...snapshotOrOptions, ...moreOptions };
    return this.#queued({}, () => {
      return this.#openDisk(isChoice ? snapshotOrOptions : undefined, options);
    });
  }

  /** Waits for what was asked for before, and closes the image, its disks and its source. */
  close(): Promise<void> {
    this.#closing ??= this.#closeNow();
    return this.#closing;
  }

  /** `await using image = …` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #closeNow(): Promise<void> {
    await this.#queue.idle();
    try {
      await settled([...this.#disks].map((disk) => disk.close()));
    } finally {
      await this.source.close();
    }
  }

  get #image(): ReadableImage {
    this.#refuseClosed();
    return this.#current.known;
  }

  #refuseClosed(): void {
    refuseClosed(this.#closing !== undefined, 'image', this.label);
  }

  #queued<T>({ signal }: WorkOptions, work: () => Promise<T>): Promise<T> {
    this.#refuseClosed();
    return this.#queue.run(() => {
      throwIfAborted(signal, 'the work');
      return work();
    });
  }

  async #plan(planner: Planner, options: ProgressOptions): Promise<PlannedEdit> {
    return this.#queued(options, async () => {
      const made = await planOnly(this.source, planner, options);
      const planned = plannedOf(made.plan);
      this.#origins.set(planned, { planner, made });
      return planned;
    });
  }

  async #edit(planner: Planner, options: EditOptions, made?: MadeEdit): Promise<Edited> {
    const device = this.#device;
    return this.#queued(options, async () => {
      // A plan of this image was made on its source, which is the device.
      const on = made as MadeEdit<BlockDevice> | undefined;
      const { plan, report } = await carryOut(device, planner, options, on).catch(
        async (error: unknown) => {
          // The first error is the one to tell; whoever asks the image gets the second.
          await this.#current.fresh().catch(() => undefined);
          throw error;
        },
      );
      const { snapshots } = await this.#current.fresh().catch((error: unknown) => {
        throw isQsnapError(error) ? error.with({ imageState: 'new' }) : error;
      });
      return { done: doneOf(plan, report, snapshots), snapshots };
    });
  }

  get #device(): BlockDevice {
    this.#refuseClosed();
    if (this.writable) return this.source as BlockDevice;
    throw new QsnapError('READ_ONLY', 'the image was opened for reading only', {
      file: this.label,
      expected: 'an image that was opened for writing',
      hint: 'open it for writing: `{ write: true }` for a file, or a device to write to',
    });
  }

  async #openDisk(choice: SnapshotChoice | undefined, options: DiskOptions): Promise<QcowDisk> {
    const image = await this.#current.fresh();
    const opened = await openChosenDisk(image, choice, options, this.#options);
    const onClose = (closed: QcowDisk): void => {
      this.#disks.delete(closed);
    };
    const sizeBytes = await opened.guest.sizeBytes();
    const disk = new QcowDisk({ ...opened, sizeBytes, image, onClose });
    this.#disks.add(disk);
    return disk;
  }
}

/** Options have no bytes of an id. */
function isSnapshot(value: SnapshotChoice | DiskOptions | undefined): value is Snapshot {
  return typeof value === 'object' && 'idBytes' in value;
}

/** Where there is no room, deleting needs none if it may use what it frees. */
function withInPlace(error: unknown): unknown {
  if (!isQsnapError(error) || error.code !== 'NO_SPACE') return error;
  if (error.details.imageState === 'new') return error;
  return error.with({
    hint: 'make room, or delete with `{ inPlace: true }`, which does with the room of what is deleted',
  });
}
