import { hasSameBytes } from '../../base/bytes.js';
import { hinted } from '../../base/hints.js';
import { printableText } from '../../base/text.js';
import { isQsnapError, QsnapError, type ImageState } from '../../errors.js';
import type { BlockSource } from '../../io/device.js';
import {
  abandonShadow,
  begin,
  inState,
  sendSwitch,
  tidy,
  writeShadow,
  type Executable,
  type ExecuteOptions,
  type ExecuteReport,
} from './execute.js';
import { shadowBytesOf, sizeAfterShadow } from './plan.js';
import { refuseIfChanged } from './refuse-changed.js';
import { refuseStale } from './use-up.js';

/** One image of several that are edited together. */
export interface Part extends Pick<ExecuteOptions, 'verify'> {
  readonly plan: Executable;
}

/** What is kept on the medium as long as some images may be in the new state and others in the old one. */
export interface TogetherRecord {
  /** Resolves when nothing is known that speaks against writing it. */
  prepare(): Promise<void>;
  /** Resolves when it is on the medium. */
  write(): Promise<void>;
  /** Takes back what `prepare` made, if it was not written. */
  discard(): Promise<void>;
  /** All images have their old state again, and nothing is left to be done. */
  takeBack(): Promise<void>;
  /** All images have their new state. Resolves when the medium no longer has the record. */
  remove(): Promise<void>;
}

/** What a caller may ask of the execution. */
export interface TogetherOptions extends Pick<ExecuteOptions, 'onProgress' | 'signal'> {
  readonly record: TogetherRecord;
}

/**
 * Carries out the plans of several images, all or none as far as a cut allows:
 *
 * 1. the shadows of all; when one fails, all are taken back;
 * 2. the record;
 * 3. the switches, one after the other; when one fails, those that were made are made undone;
 * 4. the record goes, and free clusters go back to the host.
 *
 * A cut in 3 leaves some images in the old state and some in the new one, each whole, and the record.
 *
 * @throws QsnapError as `executePlan`, with the label of the device as `file`. `imageState` holds for all images; where
 *   they differ it is `old-or-new`, and `imageStates` has each. The record stays then.
 */
export async function executeTogether(
  parts: readonly Part[],
  options: TogetherOptions,
): Promise<readonly ExecuteReport[]> {
  const { record, signal } = options;
  for (const { plan } of parts) refuseStale(plan);
  for (const { plan } of parts) await ofFile(plan.source, () => begin(plan, { signal }));
  try {
    // Shadows may take long: what would fail after them fails now.
    await inState('unchanged', () => record.prepare());
    await writeShadows(parts, options);
    await writeRecord(parts, record);
  } finally {
    await record.discard();
  }
  await sendSwitches(parts, record);
  await removeRecord(record);
  const reports: ExecuteReport[] = [];
  for (const { plan } of parts) reports.push(await ofFile(plan.source, () => tidy(plan)));
  return reports;
}

/** When one fails, all are taken back. */
async function writeShadows(
  parts: readonly Part[],
  { signal, onProgress }: TogetherOptions,
): Promise<void> {
  const sizes = parts.map(({ plan }) => shadowBytesOf(plan.shadow));
  const totalBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
  const written: Executable[] = [];
  let bytesBefore = 0;
  const advance = (doneBytes: number): void => onProgress?.(bytesBefore + doneBytes, totalBytes);
  try {
    for (const [i, { plan, verify }] of parts.entries()) {
      await ofFile(plan.source, () => writeShadow(plan, { verify, signal, onProgress: advance }));
      bytesBefore += sizes[i]!;
      written.push(plan);
    }
  } catch (error) {
    for (const plan of written) await abandonShadow(plan);
    throw isQsnapError(error) ? error.with({ imageState: 'old' }) : error;
  }
}

/** When it fails, it is taken back with the shadows. */
async function writeRecord(parts: readonly Part[], record: TogetherRecord): Promise<void> {
  try {
    await inState('old', () => record.write());
  } catch (error) {
    const told = isQsnapError(error) ? await withoutRecord(record, error) : error;
    for (const { plan } of parts) await abandonShadow(plan);
    throw told;
  }
}

async function removeRecord(record: TogetherRecord): Promise<void> {
  try {
    await inState('new', () => record.remove());
  } catch (error) {
    throw isQsnapError(error) ? error.with(hinted('resume-group')) : error;
  }
}

/** While the other shadows were written, much time may have gone by. */
function lookAgain(plan: Executable): Promise<void> {
  return refuseIfChanged(plan.source, plan, sizeAfterShadow(plan));
}

async function sendSwitches(parts: readonly Part[], record: TogetherRecord): Promise<void> {
  const states = new Map<Part, ImageState>(parts.map((part) => [part, 'old']));
  for (const part of parts) {
    const { plan } = part;
    try {
      await ofFile(plan.source, async () => {
        await lookAgain(plan);
        states.set(part, 'old-or-new');
        await sendSwitch(plan, part);
      });
      states.set(part, 'new');
    } catch (error) {
      if (!isQsnapError(error)) throw error;
      throw await switchedBack(states, record, error);
    }
  }
}

/**
 * Brings all images back to their old state: no hole is punched yet, and nobody else had the images. Where one can't be
 * brought back, the record stays.
 *
 * @returns the error to tell.
 */
async function switchedBack(
  states: Map<Part, ImageState>,
  record: TogetherRecord,
  error: QsnapError,
): Promise<QsnapError> {
  for (const [part, state] of [...states].reverse()) {
    if (state !== 'old') states.set(part, await switchBack(part, state));
  }
  const areOld = [...states.values()].every((state) => state === 'old');
  const told = areOld ? await withoutRecord(record, error) : inPart(states, error);
  for (const [{ plan }, state] of states) if (state === 'old') await abandonShadow(plan);
  return told;
}

/** One write of the old header, and a flush. Returns the state of the image. */
async function switchBack({ plan }: Part, state: ImageState): Promise<ImageState> {
  const { source, headerSector } = plan;
  const { at, bytes } = plan.switch;
  const old = headerSector.slice(at, at + bytes.length);
  try {
    const now = new Uint8Array(headerSector.length);
    await source.readBatch([{ at: 0, into: now }]);
    const isOurs = [headerSector, headerAfter(plan)].some((header) => hasSameBytes(header, now));
    if (!isOurs) return state;
  } catch {
    return state;
  }
  try {
    await source.writeBatch([{ at, bytes: old }]);
    await source.flush();
    return 'old';
  } catch {
    return 'old-or-new';
  }
}

/** The first sector of the header once the switch is made. */
export function headerAfter(plan: Pick<Executable, 'headerSector' | 'switch'>): Uint8Array {
  const header = plan.headerSector.slice();
  header.set(plan.switch.bytes, plan.switch.at);
  return header;
}

const RECORD_LEFT =
  'the record of the edit can not be removed: remove it by hand, or resume the edit, which makes it after all';

/** All images are old: the record goes. */
async function withoutRecord(record: TogetherRecord, error: QsnapError): Promise<QsnapError> {
  try {
    await record.takeBack();
    return error.with({ imageState: 'old' });
  } catch {
    return error.with({ imageState: 'old', hint: RECORD_LEFT });
  }
}

const IN_WORDS: Readonly<Partial<Record<ImageState, string>>> = {
  unchanged: 'is unchanged',
  old: 'has its old state',
  new: 'has its new state',
};

/** The error with the state of each image. */
function inPart(states: ReadonlyMap<Part, ImageState>, error: QsnapError): QsnapError {
  const each = [...states].map(([{ plan }, state]) => [plan.source.label, state] as const);
  return withStates(error, Object.fromEntries(each));
}

/** The same for images by their labels, of which not all are in one state. The record stays. */
export function withStates(
  error: QsnapError,
  imageStates: Readonly<Record<string, ImageState>>,
): QsnapError {
  const words = Object.entries(imageStates).map(([label, state]) => {
    return `${printableText(label)} ${IN_WORDS[state] ?? 'has its old state or the new one'}`;
  });
  const message = `${error.message}; ${words.join(', ')}`;
  const details = { ...error.details, ...hinted('resume-group') };
  return new QsnapError(
    error.code,
    message,
    { ...details, imageState: 'old-or-new', imageStates },
    error,
  );
}

/** Says of an error of an action which image it is about. */
export async function ofFile<T>(source: BlockSource, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const isNamed = !isQsnapError(error) || error.details.file !== undefined;
    throw isNamed ? error : error.with({ file: source.label });
  }
}
