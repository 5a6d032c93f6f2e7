import { throwIfAborted } from '../base/abort.js';
import { backingName, type Unread } from '../image/image.js';
import { refuseEdited } from '../image/refuse-edited.js';
import type { ReadableImage } from '../image/open-for-reading.js';
import type { BlockSource } from '../io/device.js';
import type { Header } from '../qcow2/header.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import { checkImage } from '../read/check/check-image.js';
import type { CheckOptions, CheckReport } from '../read/check/report.js';
import { measureUsage, type ImageUsage } from '../read/sharing/usage.js';
import type { DiffRange } from '../read/diff/diff-range.js';
import { computeUnsavedChanges, type UnsavedChanges } from '../edit/snapshot/unsaved.js';
import { allSnapshots, refuseUnreadDisks } from './current-image.js';
import { EditableImage } from './editable-image.js';
import { ImageWork } from './image-work.js';
import { diffOf } from './diff-of.js';
import { CHECK, DIFF, DISK, isSnapshot, PROGRESS, refuseWrong, WORK } from './known-options.js';
import { OpenDisks } from './open-disks.js';
import type {
  DiskDiffOptions,
  DiskOptions,
  OpenQcowOptions,
  ProgressOptions,
  SnapshotChoice,
  WorkOptions,
} from './options.js';
import { ownedBytes, type OwnedBytes } from './owned-bytes.js';
import type { QcowDisk } from './qcow-disk.js';

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
export class QcowImage extends EditableImage implements AsyncDisposable {
  /** What the image is read from, for functions of `qsnap` that take a source. The image closes it. */
  readonly source: BlockSource;
  readonly #work: ImageWork;
  readonly #disks: OpenDisks;

  /** Images come from `openQcow`. */
  constructor(image: ReadableImage, options: OpenQcowOptions) {
    const work = new ImageWork(image);
    super(work, options);
    this.source = image.source;
    this.#work = work;
    this.#disks = new OpenDisks(options);
  }

  /** What people call it: a path, a URL, "memory". */
  get label(): string {
    return this.source.label;
  }

  /** Whether it was opened for writing. */
  get writable(): boolean {
    return this.#work.isWritable;
  }

  /** The header, decoded. Sizes are in bytes. */
  get header(): Header {
    return this.#work.known.header;
  }

  /** The snapshots in the order of their table. @throws QsnapError why the table can't be read whole. */
  get snapshots(): readonly Snapshot[] {
    return allSnapshots(this.#work.known);
  }

  /** Size of the active disk in bytes. */
  get diskSizeBytes(): number {
    return this.header.diskSizeBytes;
  }

  /** The backing file's name, or undefined. Only a name: nothing opens it unless a disk is asked to. */
  get backingName(): string | undefined {
    return backingName(this.#work.known);
  }

  /** What can't be read of a damaged image; empty for a whole one. No edit takes a damaged image. */
  get unread(): readonly Unread[] {
    return this.#work.known.unread;
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
    refuseWrong(options, CHECK);
    const { onProgress, ...rest } = options;
    return this.#work.queued(options, () =>
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
    refuseWrong(options, WORK);
    return this.#work.queued(options, async () => {
      const image = await this.#work.current.fresh();
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
   * @throws QsnapError CLOSED, IMAGE_CHANGED after an edit, READ_FAILED, ABORTED, and why a disk of a damaged image can't
   *   be read.
   */
  async *owners(options: WorkOptions = {}): AsyncGenerator<OwnedBytes, void, undefined> {
    refuseWrong(options, WORK);
    const { image, owned } = await this.#work.queued(options, async () => {
      const fresh = await this.#work.current.fresh();
      refuseUnreadDisks(fresh);
      return { image: fresh, owned: await ownedBytes(fresh, options.signal) };
    });
    for (const range of owned) {
      this.#work.refuseClosed();
      refuseEdited(image);
      throwIfAborted(options.signal, 'the list of owners');
      yield range;
    }
  }

  /**
   * What the active disk and each snapshot cost, alone and shared, and what the file is made of.
   *
   * ```ts
   * const usage = await image.usage();
   * for (const { snapshot, ifDeleted } of usage.snapshots) console.log(snapshot?.name, ifDeleted?.freedBytes);
   * const nightly = image.snapshots.filter(({ name }) => name.startsWith('nightly '));
   * console.log('all of these', freedByDeleting(usage, nightly).freedBytes);
   * console.log('the active disk grew from', (await inferAncestry(usage)).active.parent?.name);
   * ```
   *
   * @throws QsnapError CLOSED, IMAGE_DAMAGED, READ_FAILED, LIMIT_EXCEEDED, ABORTED, and why a disk of a damaged image
   *   can't be read.
   */
  async usage(options: ProgressOptions = {}): Promise<ImageUsage> {
    refuseWrong(options, PROGRESS);
    const { signal, onProgress } = options;
    return this.#work.queued(options, async () => {
      const image = await this.#work.current.fresh();
      refuseUnreadDisks(image);
      return measureUsage(image, {
        signal,
        onProgress: (done) => onProgress?.({ phase: 'measuring', done, total: 1 }),
      });
    });
  }

  /**
   * Where two disks differ, by their tables alone: ascending ranges, and what the second disk has there. No guest data
   * is read, and no table that both disks have. VM state is no part of a disk.
   *
   * Clusters with the same bytes in two places differ, unless `content` is asked for. Where the disks are of different
   * sizes, the shorter one counts as zeros behind its end.
   *
   * ```ts
   * for await (const { start, length, kind } of image.diff('golden')) console.log(start, length, kind);
   * ```
   *
   * @param a the disk before; undefined: the active disk.
   * @param b the disk after; undefined: the active disk.
   * @throws QsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS, SNAPSHOT_STALE, CLOSED, TABLE_INVALID, IMAGE_CHANGED
   *   after an edit, ABORTED, IMAGE_DAMAGED, IMAGE_TRUNCATED, READ_FAILED: as it is iterated, after all ranges before
   *   the damage; with `content` also what `disk` and `QcowDisk.read` throw.
   */
  async *diff(
    a: SnapshotChoice | undefined,
    b?: SnapshotChoice,
    options: DiskDiffOptions = {},
  ): AsyncGenerator<DiffRange, void, undefined> {
    refuseWrong(options, DIFF);
    const batches = diffOf({ work: this.#work, disks: this.#disks }, [a, b], options);
    for await (const ranges of batches) yield* ranges;
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
    if (!isChoice) refuseWrong(snapshotOrOptions ?? {}, DISK);
    refuseWrong(moreOptions, DISK);
    const options = isChoice ? moreOptions : { ...snapshotOrOptions, ...moreOptions };
    return this.#work.queued({}, async () => {
      const image = await this.#work.current.fresh();
      return this.#disks.open(image, isChoice ? snapshotOrOptions : undefined, options);
    });
  }

  /** Waits for what was asked for before, and closes the image, its disks and its source. */
  close(): Promise<void> {
    return this.#work.close(() => this.#disks.close());
  }

  /** `await using image = …` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
