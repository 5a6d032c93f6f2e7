/** Puts an image that may be hostile through every operation and tells what the engine did wrong. */
import { isQsnapError } from '../../src/errors.js';
import type { Image } from '../../src/image/image.js';
import { openImage } from '../../src/image/open.js';
import type { BlockDevice, ReadRequest } from '../../src/io/device.js';
import { memoryDevice } from '../../src/io/memory.js';
import { computeUnsavedChanges, snapshotsEqualToActive } from '../../src/edit/snapshot/unsaved.js';
import { diffDisks } from '../../src/read/diff/diff-disks.js';
import { executePlan } from '../../src/edit/tx/execute.js';
import { checkPlain, contentsOf, type Contents, type Verdict } from '../support/crash-judge.js';
import { EDITS, shortcomings, type Edit } from '../support/crash-judge-edits.js';
import { madeOn } from '../support/plans.js';
import { cpuMilliseconds } from '../support/cpu-time.js';

/** An operation on a hostile image takes no longer than this, in milliseconds. */
export const LONGEST_MS = 2_000;
/** And asks for no more bytes than this. */
const MOST_READ_BYTES = 512 * 1024 * 1024;
/** And a walk gives out no more ranges at a time. */
const MOST_RANGES = 1_000_000;

/** What became of an image. */
export interface Outcome {
  readonly opened: boolean;
  readonly edited: number;
  /** Codes of the refusals. */
  readonly refusals: readonly string[];
  /** What must not happen; empty for a good engine. */
  readonly faults: readonly string[];
}

/** A device that adds up what is read from it. */
export interface MeteredDevice extends BlockDevice {
  readonly readBytes: () => number;
}

export function metered(device: BlockDevice): MeteredDevice {
  let readBytes = 0;
  return {
    label: device.label,
    growable: device.growable,
    readBytes: () => readBytes,
    sizeBytes: () => device.sizeBytes(),
    readBatch: (requests: readonly ReadRequest[]) => {
      for (const { into } of requests) readBytes += into.length;
      return device.readBatch(requests);
    },
    writeBatch: (requests) => device.writeBatch(requests),
    flush: () => device.flush(),
    truncate: (sizeBytes) => device.truncate(sizeBytes),
    punchBatch: (ranges) => device.punchBatch(ranges),
    close: () => device.close(),
  };
}

/** Collects what goes wrong in one image. */
class Ordeal {
  readonly faults: string[] = [];
  readonly refusals: string[] = [];
  edited = 0;
  opened = false;

  /** Runs one operation; undefined when it was refused, and rightly, with a QsnapError. */
  async attempt<T>(
    name: string,
    device: MeteredDevice,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    const started = cpuMilliseconds();
    const readBefore = device.readBytes();
    try {
      return await work();
    } catch (error) {
      if (!isQsnapError(error)) this.faults.push(`${name}: ${stackOf(error)}`);
      else if (error.kind === 'internal') this.faults.push(`${name}: ${stackOf(error)}`);
      else this.refusals.push(error.code);
      return undefined;
    } finally {
      const took = cpuMilliseconds() - started;
      if (took > LONGEST_MS) this.faults.push(`${name}: took ${Math.round(took)} ms`);
      const read = device.readBytes() - readBefore;
      if (read > MOST_READ_BYTES) this.faults.push(`${name}: read ${read} bytes`);
    }
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? String(error.stack) : String(error);
}

/**
 * Opens the image, asks what can be asked, and makes every edit that is named, each on a copy.
 *
 * @param edits default: all of them.
 */
export async function putThrough(
  bytes: Uint8Array,
  edits: readonly Edit[] = EDITS,
): Promise<Outcome> {
  const ordeal = new Ordeal();
  const device = metered(memoryDevice(bytes));
  const image = await ordeal.attempt('openImage', device, () => openImage(device));
  if (image !== undefined) {
    ordeal.opened = true;
    await ordeal.attempt('snapshotsEqualToActive', device, () => snapshotsEqualToActive(image));
    await ordeal.attempt('computeUnsavedChanges', device, () => computeUnsavedChanges(image));
    await ordeal.attempt('diffDisks', device, async () => {
      const [before] = image.snapshots;
      for await (const ranges of diffDisks(image, before, undefined)) {
        if (ranges.length > MOST_RANGES) throw new TypeError(`${ranges.length} ranges at once`);
      }
    });
    const before = new Before(bytes);
    for (const edit of edits) await attemptEdit(ordeal, edit, bytes, before);
  }
  const { opened, edited, refusals, faults } = ordeal;
  return { opened, edited, refusals, faults };
}

/** What the plain judge says of the image; found out only when an edit goes through. */
class Before {
  readonly #bytes: Uint8Array;
  #verdict: Verdict | undefined;
  #contents: Contents | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get verdict(): Verdict {
    return (this.#verdict ??= checkPlain(this.#bytes));
  }

  get contents(): Contents {
    return (this.#contents ??= contentsOf(this.#bytes));
  }
}

async function attemptEdit(
  ordeal: Ordeal,
  edit: Edit,
  bytes: Uint8Array,
  before: Before,
): Promise<void> {
  const memory = memoryDevice(bytes);
  const device = metered(memory);
  const image = await ordeal.attempt('openImage', device, () => openImage(device));
  if (image === undefined || image.snapshots.length < edit.needs) return;
  const plan = await ordeal.attempt(`plan ${edit.name}`, device, () => edit.plan(image));
  if (plan === undefined) {
    const after = memory.snapshotBytes();
    if (Buffer.compare(after, bytes) !== 0) ordeal.faults.push(`${edit.name}: a plan wrote`);
    return;
  }
  const done = await ordeal.attempt(edit.name, device, () => executePlan(madeOn(device, plan)));
  if (done === undefined) {
    // Memory has no bad sectors: what was planned must go through.
    ordeal.faults.push(`${edit.name}: failed with ${String(ordeal.refusals.at(-1))}`);
    return;
  }
  ordeal.edited += 1;
  const after = memory.snapshotBytes();
  const again = await ordeal.attempt(`open after ${edit.name}`, device, () => openImage(device));
  if (again === undefined) ordeal.faults.push(`${edit.name}: the image does not open afterwards`);
  const { corruptions, leaks } = before.verdict;
  if (corruptions.length > 0) return;
  const allowed = { contents: [edit.model(before.contents)], leaks };
  for (const text of shortcomings(after, allowed)) ordeal.faults.push(`${edit.name}: ${text}`);
}

/** The image as the engine opens it, for tests that know that it does. */
export async function opened(bytes: Uint8Array): Promise<Image> {
  return openImage(memoryDevice(bytes));
}
