import { isQsnapError } from '../errors.js';
import type { NewBacking } from '../edit/header/plan-backing.js';
import type { ProposedRepair } from '../edit/repair/propose.js';
import type { ScrubPlan } from '../edit/scrub/plan-scrub.js';
import type { ScrubReport } from '../edit/scrub/scrub-image.js';
import type { TrimPlan } from '../edit/trim/plan-trim.js';
import type { TrimReport } from '../edit/trim/trim-image.js';
import type { DoneRepair } from './done-repair.js';
import { Edits } from './edits.js';
import type { ImageWork } from './image-work.js';
import { EDIT, refuseWrong } from './known-options.js';
import type {
  ApplyingOptions,
  DeletingOptions,
  DiskOptions,
  DiskPiece,
  EditOptions,
  NewSnapshotOptions,
  OpenQcowOptions,
  ProgressOptions,
  RepairingOptions,
  RepairTarget,
  ResizingOptions,
  ScrubbingOptions,
  SnapshotChoice,
  StrippingOptions,
  TrimmingOptions,
  WorkOptions,
} from './options.js';
import {
  applying,
  chosen,
  creating,
  deleting,
  renaming,
  resizing,
  settingBacking,
  stripping,
} from './planners.js';
import type { DoneEdit, DoneSnapshotEdit, PlannedEdit, Planner } from './planned-edit.js';
import { choosing } from './repair-choice.js';
import { Repairs } from './repairs.js';
import { plannedScrub, scrubbed } from './scrubs.js';
import { plannedTrim, trimmed } from './trims.js';
import { written } from './writes.js';

/** What can be done to an image, and the plans of that. */
export class EditableImage {
  readonly #edits: Edits;
  readonly #repairs: Repairs;
  readonly #work: ImageWork;
  readonly #platform: OpenQcowOptions;

  /** @param platform what the image was opened with. */
  constructor(work: ImageWork, platform: OpenQcowOptions) {
    this.#work = work;
    this.#platform = platform;
    this.#edits = new Edits(work);
    this.#repairs = new Repairs(work);
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
    const { done } = await this.#edits.edit(creating(name, options), options);
    return { ...done, snapshot: done.created[0]! };
  }

  /** The plan of `create`, to look at. */
  async planCreate(
    name: string,
    options: NewSnapshotOptions & ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#edits.plan(creating(name, options), options);
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
    return (await this.#edits.edit(applying(snapshot, options), options)).done;
  }

  /** The plan of `apply`, to look at. */
  async planApply(
    snapshot: SnapshotChoice,
    options: ApplyingOptions & ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#edits.plan(applying(snapshot, options), options);
  }

  /**
   * Deletes one snapshot or several in one edit. The others and the active disk stay bit for bit. An empty list
   * changes no snapshot.
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
    const planner = deleting(snapshots, options);
    try {
      return (await this.#edits.edit(planner, options)).done;
    } catch (error) {
      throw options.inPlace === true ? error : withInPlace(error);
    }
  }

  /** The plan of `delete`, to look at. */
  async planDelete(
    snapshots: SnapshotChoice | readonly SnapshotChoice[],
    options: DeletingOptions & ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#edits.plan(deleting(snapshots, options), options);
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
    const rename = renaming(snapshot, name, options);
    // Entries keep their positions.
    let index = 0;
    const planner: Planner = (image, planning) => {
      ({ index } = chosen(image, snapshot));
      return rename(image, planning);
    };
    const { done, snapshots } = await this.#edits.edit(planner, options);
    return { ...done, snapshot: snapshots[index]! };
  }

  /** The plan of `rename`, to look at. */
  async planRename(
    snapshot: SnapshotChoice,
    name: string,
    options: ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#edits.plan(renaming(snapshot, name, options), options);
  }

  /**
   * Gives the active disk another size. What grows reads as zeros; snapshots keep their sizes, and bitmaps go with the
   * disk.
   *
   * @param diskSizeBytes a multiple of 512.
   * @throws QsnapError SIZE_INVALID, SHRINK_NOT_ALLOWED, PREALLOCATION_REFUSED, SIZE_DIFFERS_IN_V2,
   *   BITMAP_INCONSISTENT, GROWTH_SHOWS_BACKING, and what every edit throws: see `create`.
   */
  async resize(
    diskSizeBytes: number,
    options: ResizingOptions & EditOptions = {},
  ): Promise<DoneEdit> {
    return (await this.#edits.edit(resizing(diskSizeBytes, options), options)).done;
  }

  /**
   * Writes into the active disk by one switch: all pieces are there afterwards, or none. Snapshots keep what they have.
   *
   * ```ts
   * const bytes = new TextEncoder().encode('hostname');
   * await image.write([{ at: 1_048_576, bytes }, { at: 2_097_152, zeroBytes: 65_536 }]);
   * ```
   *
   * @param pieces in any order, not over each other.
   * @param options a disk over a backing file needs `backing` where a piece covers a part of a cluster.
   * @throws QsnapError RANGE_INVALID, ENCRYPTED, PASSPHRASE_WRONG, BACKING_REFUSED, and what every edit throws: see
   *   `create`.
   */
  async write(
    pieces: readonly DiskPiece[],
    options: DiskOptions & EditOptions = {},
  ): Promise<DoneEdit> {
    return written(this.#edits, pieces, options, this.#platform);
  }

  /** The plan of `resize`, to look at. */
  async planResize(
    diskSizeBytes: number,
    options: ResizingOptions & ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#edits.plan(resizing(diskSizeBytes, options), options);
  }

  /**
   * Records another backing file, or none. No guest data is looked at or moved: what the disk and its snapshots show
   * changes where the files differ. The file is not opened; a name that leads back to the image is not refused here.
   *
   * ```ts
   * await image.setBacking({ name: 'base.qcow2', format: 'qcow2' });
   * await image.setBacking('none');
   * ```
   *
   * @param backing "none": the image stands on nothing, and what it does not hold reads as zeros.
   * @throws QsnapError NAME_INVALID, LIMIT_EXCEEDED where the header has no room, EXTERNAL_DATA_FILE where a raw data
   *   file is the whole disk, and what every edit throws: see `create`.
   */
  async setBacking(backing: NewBacking | 'none', options: EditOptions = {}): Promise<DoneEdit> {
    return (await this.#edits.edit(settingBacking(backing, options), options)).done;
  }

  /** The plan of `setBacking`, to look at. */
  async planSetBacking(
    backing: NewBacking | 'none',
    options: ProgressOptions = {},
  ): Promise<PlannedEdit> {
    return this.#edits.plan(settingBacking(backing, options), options);
  }

  /**
   * Takes VM state out of snapshots and the active disk, of which all guest data stays. Without `whole` that is what no
   * snapshot entry tells of: QEMU loads what it loaded before.
   *
   * ```ts
   * await image.strip();
   * await image.strip({ snapshots: ['nightly'], whole: true });
   * ```
   *
   * @throws QsnapError VM_STATE_INVALID where nobody can tell which part QEMU loads,
   *   SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS, SNAPSHOT_STALE, WRONG_PASSPHRASE, and what every edit throws: see `create`.
   */
  async strip(options: StrippingOptions & EditOptions = {}): Promise<DoneEdit> {
    return (await this.#edits.edit(stripping(options, this.#platform), options)).done;
  }

  /** The plan of `strip`, to look at. */
  async planStrip(options: StrippingOptions & ProgressOptions = {}): Promise<PlannedEdit> {
    return this.#edits.plan(stripping(options, this.#platform), options);
  }

  /**
   * Gives all that is free in the image back to the host, and cuts the file behind the last cluster that is in use.
   *
   * ```ts
   * const { fileSizeBefore, fileSizeBytes } = await image.trim({ relocate: true });
   * ```
   *
   * @throws QsnapError ENCRYPTED where LUKS fixes the place of data that is to move, and what every edit throws: see
   *   `create`.
   */
  async trim(options: TrimmingOptions & EditOptions = {}): Promise<TrimReport> {
    return trimmed(this.#work, options);
  }

  /** What `trim` would give back, to look at. */
  async planTrim(options: WorkOptions = {}): Promise<TrimPlan> {
    return plannedTrim(this.#work, options);
  }

  /**
   * Makes zeros of every byte of the file that nothing refers to: free clusters, what lies behind the last cluster in
   * use, and what the header, the snapshot table and the L1 tables leave of their last clusters.
   *
   * ```ts
   * const { freeBytes, tailBytes, slackBytes, facts } = await image.scrub();
   * if (facts.leakedClusters > 0) await image.repair('leaks');
   * ```
   *
   * @throws QsnapError VERIFY_FAILED where a byte does not read back as zero, and what every edit throws: see `create`.
   */
  async scrub(options: ScrubbingOptions & EditOptions = {}): Promise<ScrubReport> {
    return scrubbed(this.#work, options);
  }

  /** What `scrub` would make zeros of, to look at. Much of it may be zeros already. */
  async planScrub(options: WorkOptions = {}): Promise<ScrubPlan> {
    return plannedScrub(this.#work, options);
  }

  /**
   * Repairs a damaged image: checks it, mends what was chosen, and checks it again. What it does is planned and
   * checked before anything is written; a power cut leaves the old image or the mended one. No snapshot is dropped
   * unless it is named. `REPAIR_CLASSES` says what each class does.
   *
   * ```ts
   * const { mended, after } = await image.repair();
   * for (const { code, count } of mended) console.log(`mended ${count} of ${code}`);
   * for (const { message, advice } of after.findings) console.log(`left: ${message}; ${advice}`);
   * const { findings } = await image.check();
   * await image.repair(findings.filter(({ code }) => code === 'CLUSTER_LEAKED'));
   * ```
   *
   * @param targets default: "all", every repair that keeps all that guests read. Whatever is chosen, no refcount
   *   stays below the references to its cluster.
   * @throws QsnapError REPAIR_CHOICE_INVALID, REPAIR_REFUSED, SNAPSHOT_NOT_FOUND, SNAPSHOT_AMBIGUOUS,
   *   SNAPSHOT_STALE, READ_ONLY, CLOSED, EXTERNAL_DATA_FILE, REFCOUNT_OVERFLOW, LIMIT_EXCEEDED, NO_SPACE,
   *   READ_FAILED, WRITE_FAILED, VERIFY_FAILED, IMAGE_CHANGED, ABORTED, with `details.imageState`.
   * Ours: docs/findings.md says of each finding which class mends it.
   */
  async repair(
    targets: RepairTarget | readonly RepairTarget[] = 'all',
    options: RepairingOptions & EditOptions = {},
  ): Promise<DoneRepair> {
    return this.#repairs.repair(choosing(targets, options), options);
  }

  /**
   * The plan of `repair`, to look at: what a check finds now (`before`), and what one will find (`after`). `plan`
   * is undefined where nothing has to be written.
   *
   * ```ts
   * const proposal = await image.planRepair('leaks');
   * console.log(proposal.before.findings.length, proposal.after.findings.length);
   * await image.execute(proposal);
   * ```
   *
   * @throws QsnapError what `repair` throws before it writes.
   */
  async planRepair(
    targets: RepairTarget | readonly RepairTarget[] = 'all',
    options: RepairingOptions & ProgressOptions = {},
  ): Promise<ProposedRepair> {
    return this.#repairs.plan(choosing(targets, options), options);
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
  execute(planned: PlannedEdit, options?: EditOptions): Promise<DoneEdit>;
  execute(planned: ProposedRepair, options?: EditOptions): Promise<DoneRepair>;
  async execute(
    planned: PlannedEdit | ProposedRepair,
    options: EditOptions = {},
  ): Promise<DoneEdit | DoneRepair> {
    refuseNoPlan(planned);
    refuseWrong(options, EDIT);
    return 'before' in planned
      ? this.#repairs.execute(planned, options)
      : this.#edits.execute(planned, options);
  }
}

/** @throws TypeError. */
function refuseNoPlan(planned: unknown): void {
  if (typeof planned === 'object' && planned !== null) return;
  throw new TypeError('a plan is what `planCreate`, `planDelete` and the like return');
}

/** Where there is no room, deleting needs none if it may use what it frees. */
function withInPlace(error: unknown): unknown {
  if (!isQsnapError(error) || error.code !== 'NO_SPACE') return error;
  if (error.details.imageState === 'new') return error;
  return error.with({
    hint: 'make room, or delete with `{ inPlace: true }`, which does with the room of what is deleted',
  });
}
