import { throwIfAborted } from '../../base/abort.js';
import type { OpenImage } from '../../image/image.js';
import { openImage } from '../../image/open.js';
import { settled } from '../../io/settled.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import { headerAfter, ofFile, type TogetherRecord } from '../../edit/tx/execute-together.js';
import type { EditPlan } from '../../edit/tx/plan.js';
import type { EditOptions, ProgressOptions, ResumingOptions } from '../options.js';
import { Queue } from '../queue.js';
import { refuseClosed, refuseReadOnly } from '../refuse.js';
import { leftToDo } from './left-to-do.js';
import { groupListing, listImage, type GroupListing, type ListedImage } from './listing.js';
import {
  recordedHeader,
  type FoundRecord,
  type RecordedImage,
  type RecordStore,
} from './record.js';
import { refuseOtherEdit, unfinished } from './refuse-unfinished.js';
import {
  chooseSnapshots,
  plannerOf,
  selectorsOf,
  type GroupRequest,
  type SnapshotMark,
} from './request.js';
import { beside, makeAllDurable, toldHow } from './resuming.js';
import { carryOutTasks, planTasks, type DoneImage, type PlannedImage, type Task } from './tasks.js';

/** What a group edit is about. */
interface GroupEdit {
  readonly request: GroupRequest;
  /** The snapshots by their names, each once, whatever words chose them. */
  readonly names: readonly string[];
  /** Images that had the edit before, where it is resumed. */
  readonly haveIt: readonly string[];
  /** Those of them that got a snapshot of the name of a deleted one since then. */
  readonly haveAnew: readonly string[];
}

/** A group edit to look at. Nothing is written. */
export interface PlannedGroupEdit extends GroupEdit {
  readonly images: readonly PlannedImage[];
}

/** What a group edit did. */
export interface DoneGroupEdit extends GroupEdit {
  readonly images: readonly DoneImage[];
}

/** What is left of a group edit, as it was found. */
interface Left {
  readonly request: GroupRequest;
  /** For each image its snapshots that are to be edited; undefined where it has the edit. */
  readonly marks: readonly (readonly SnapshotMark[] | undefined)[];
  /** What is known of images that have the edit. */
  readonly recorded?: readonly RecordedImage[];
  /** The images as they were read. */
  readonly images: readonly OpenImage[];
}

/** The work on the open images of a group: one piece after the other, until they are closed. */
export class GroupWork<Source extends BlockSource> {
  readonly sources: readonly Source[];
  readonly #store: RecordStore;
  readonly #queue = new Queue();
  #closing: Promise<void> | undefined;

  constructor(sources: readonly Source[], store: RecordStore) {
    this.sources = sources;
    this.#store = store;
  }

  edit(request: GroupRequest, options: EditOptions): Promise<DoneGroupEdit> {
    return this.#queued(options, async () => {
      const devices = this.#devices();
      const left = await this.#chosen(request);
      return this.#carryOut(devices, left, { takeBack: () => this.#store.remove() }, options);
    });
  }

  plan(request: GroupRequest, options: ProgressOptions): Promise<PlannedGroupEdit> {
    return this.#queued(options, async () => this.#planned(await this.#chosen(request), options));
  }

  resume(options: ResumingOptions & EditOptions): Promise<DoneGroupEdit | undefined> {
    return this.#queued(options, async () => {
      const devices = this.#devices();
      const left = await this.#left(options);
      if (left === undefined) {
        await this.#store.sweep();
        return undefined;
      }
      await makeAllDurable(
        devices.flatMap((device, i) =>
          left.marks[i] === undefined ? [{ device, image: left.images[i]! }] : [],
        ),
      );
      try {
        // The record stays: it holds for images that this run takes back, too.
        return await toldHow(() =>
          this.#carryOut(devices, left, { takeBack: () => Promise.resolve() }, options),
        );
      } catch (error) {
        throw beside(this.#outcome(left).haveIt, this.sources, error);
      }
    });
  }

  planResume(options: ResumingOptions & ProgressOptions): Promise<PlannedGroupEdit | undefined> {
    return this.#queued(options, async () => {
      const left = await this.#left(options);
      return left && toldHow(() => this.#planned(left, options));
    });
  }

  unfinished(): Promise<FoundRecord | undefined> {
    return this.#queued({}, () => this.#store.read());
  }

  list(): Promise<GroupListing> {
    return this.#queued({}, async () => {
      const images: ListedImage[] = [];
      for (const source of this.sources) {
        images.push(await ofFile(source, () => listImage(source)));
      }
      return groupListing(images);
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeNow();
    return this.#closing;
  }

  async #closeNow(): Promise<void> {
    await this.#queue.idle();
    await settled(this.sources.map((source) => source.close()));
  }

  #queued<T>({ signal }: ProgressOptions, work: () => Promise<T>): Promise<T> {
    const label = this.sources.map((source) => source.label).join(', ');
    refuseClosed(this.#closing !== undefined, 'group', label);
    return this.#queue.run(() => {
      throwIfAborted(signal, 'the work');
      return work();
    });
  }

  #devices(): readonly BlockDevice[] {
    return this.sources.map((source) => refuseReadOnly(source));
  }

  async #planned(left: Left, options: ProgressOptions): Promise<PlannedGroupEdit> {
    const tasks = tasksOf(this.sources, left);
    return { ...this.#outcome(left), images: await planTasks(tasks, options) };
  }

  /** A new edit: all of it is left. */
  async #chosen(request: GroupRequest): Promise<Left> {
    const found = await this.#store.read();
    if (found !== undefined) throw unfinished(found);
    await this.#store.foretell();
    const selectors = selectorsOf(request);
    const images = await this.#images();
    return { request, marks: chooseSnapshots(images, selectors), images };
  }

  async #left({ operation, discardChanges }: ResumingOptions): Promise<Left | undefined> {
    const found = await this.#store.read();
    if (found === undefined) return undefined;
    const recorded = refuseOtherEdit(found, operation);
    const marks: Left['marks'][number][] = [];
    const images = await this.#images();
    for (const [i, image] of images.entries()) {
      const left = leftToDo(image, found, recorded[i]!);
      marks.push(await ofFile(image.source, () => left));
    }
    // What disks hold now is not what was given up then.
    const request =
      found.request.operation === 'apply'
        ? { ...found.request, discardChanges: discardChanges === true }
        : found.request;
    return { request, marks, recorded, images };
  }

  async #images(): Promise<readonly OpenImage[]> {
    const images: OpenImage[] = [];
    for (const source of this.sources) images.push(await ofFile(source, () => openImage(source)));
    return images;
  }

  async #carryOut(
    devices: readonly BlockDevice[],
    left: Left,
    { takeBack }: Pick<TogetherRecord, 'takeBack'>,
    options: EditOptions,
  ): Promise<DoneGroupEdit> {
    const tasks = tasksOf(devices, left);
    const remove = (): Promise<void> => this.#store.remove();
    if (tasks.length === 0) {
      await remove();
      return { ...this.#outcome(left), images: [] };
    }
    const recordOf = (plans: readonly EditPlan[]): TogetherRecord => ({
      prepare: () => this.#store.prepare(),
      discard: () => this.#store.discard(),
      write: () => this.#store.write(left.request, recordedImages(this.sources, left, plans)),
      takeBack,
      remove,
    });
    return { ...this.#outcome(left), images: await carryOutTasks(tasks, recordOf, options) };
  }

  #outcome({ request, marks, recorded, images }: Left): GroupEdit {
    const chosen = marks.map((own, i) => recorded?.[i]?.chosen ?? own ?? []).flat();
    const names =
      request.operation === 'create'
        ? [request.name]
        : [...new Set(chosen.map((mark) => mark.name))];
    const having = images.filter((_, i) => marks[i] === undefined);
    const anew = having.filter(
      ({ snapshots }) =>
        request.operation === 'delete' && snapshots.some(({ name }) => names.includes(name)),
    );
    return { request, names, haveIt: labelsOf(having), haveAnew: labelsOf(anew) };
  }
}

const labelsOf = (images: readonly OpenImage[]): readonly string[] =>
  images.map(({ source }) => source.label);

function tasksOf<Source extends BlockSource>(
  sources: readonly Source[],
  { request, marks }: Left,
): readonly Task<Source>[] {
  return sources.flatMap((source, i) => {
    const own = marks[i];
    return own === undefined ? [] : [{ source, planner: plannerOf(request, own), marks: own }];
  });
}

/** What the record says of all images: of those that are planned, and of those that have the edit. */
function recordedImages(
  sources: readonly BlockSource[],
  { marks, recorded }: Left,
  plans: readonly EditPlan[],
): readonly RecordedImage[] {
  const planOf = new Map(plans.map((plan) => [plan.source, plan]));
  return sources.map((source, i) => {
    const plan = planOf.get(source);
    if (plan === undefined) return recorded![i]!;
    return {
      headerBefore: recordedHeader(plan.headerSector),
      headerAfter: recordedHeader(headerAfter(plan)),
      chosen: recorded?.[i]?.chosen ?? marks[i]!,
    };
  });
}
