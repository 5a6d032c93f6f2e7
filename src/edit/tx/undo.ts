import { throwIfAborted } from '../../base/abort.js';
import { isZero, hasSameBytes } from '../../base/bytes.js';
import { MiB } from '../../base/units.js';
import { digestOf, type NewHasher } from '../../base/hasher.js';
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { BlockDevice, BlockSource } from '../../io/device.js';
import { stoppable } from '../../io/stoppable.js';
import { editsBegun } from '../../io/edits.js';
import { executePlan, inState } from './execute.js';
import { makeDurable } from './make-durable.js';
import { notAsWritten } from './read-back.js';
import { readKept, readUndoIndex } from './undo-file.js';
import { SWITCH_END } from './rules.js';
import { useUp } from './use-up.js';
import { bytesOfHex, type KeptStretch, type ShadowStretch, type UndoIndex } from './undo-index.js';

const CHUNK_BYTES = 4 * MiB;

/** What a caller may ask of an undo. */
export interface UndoOptions {
  /** Read back what is written. */
  readonly verify?: boolean | undefined;
  /** Ends the undoing as long as the old header is not sent; what was given back may be back by then. */
  readonly signal?: AbortSignal | undefined;
}

/** What an undo did. */
export interface UndoReport {
  /** False where the image was in the state from before already. */
  readonly switched: boolean;
  /** Bytes put back where the edit had written or given back. */
  readonly restoredBytes: number;
  /** Bytes cut off that the edit had added to the file. */
  readonly cutBytes: number;
}

/**
 * Undoes an edit, in four steps:
 *
 * 1. the bytes come back that the edit gave back to the host;
 * 2. one write of the header brings back the old state;
 * 3. the bytes come back that lay in free clusters before the edit;
 * 4. the file gets its old length.
 *
 * Each step leaves a whole image, in the old state or the new one. After a cut the same undo does the steps that are
 * left.
 *
 * ```ts
 * const undo = await openFile('old.undo');
 * const { switched, restoredBytes } = await executeUndo(device, undo, newSha256);
 * await undo.close();
 * ```
 *
 * @throws QsnapError UNDO_FILE_INVALID; ABORTED; PLAN_STALE for a device that is closed or gave up its lock; IMAGE_CHANGED when the image is neither what the edit left
 *   nor what it found. Nothing is written then. `imageState` in the details of an I/O error means
 *   the undoing: `old` is what the edit had left. VERIFY_FAILED where it was to be verified.
 */
export async function executeUndo(
  device: BlockDevice,
  file: BlockSource,
  newHasher: NewHasher,
  options: UndoOptions = {},
): Promise<UndoReport> {
  const { signal } = options;
  const verify = options.verify === true;
  const index = await inState('unchanged', () => {
    useUp({ source: device, editsBefore: editsBegun(device) });
    return readUndoIndex(file, newHasher);
  });
  const headerBefore = bytesOfHex(index.headerBefore);
  const header = new Uint8Array(headerBefore.length);
  await inState('unchanged', () => device.readBatch([{ at: 0, into: header }]));
  const fileSizeBytes = await inState('unchanged', () => device.sizeBytes());
  if (hasSameBytes(header, headerBefore)) {
    const left = await inState('unchanged', () => leftBehind(device, index, newHasher));
    await inState('unchanged', () => makeDurable(device, { headerSector: header, fileSizeBytes }));
    return {
      switched: false,
      ...(await inState('new', () => tidy(device, file, index, left, verify))),
    };
  }
  await inState('unchanged', async () => {
    const read = stoppable(device, signal, 'the undoing');
    await refuseIfUsed(read, file, index, header, newHasher);
    throwIfAborted(signal, 'the undoing');
    await makeDurable(device, { headerSector: header, fileSizeBytes });
  });
  const punchedBytes = await inState('old', () =>
    restore(device, file, index, index.punched, verify, signal),
  );
  const plan = {
    headerSector: header,
    fileSizeBytes: index.sizeAfter,
    shadow: [],
    switch: { at: index.switchAt, bytes: headerBefore.subarray(index.switchAt, SWITCH_END) },
    freed: [],
    punch: [],
    source: device,
    editsBefore: editsBegun(device),
  };
  // A check would find again what the edit had mended.
  await executePlan(plan, { signal, ...(verify && { verify: () => Promise.resolve() }) });
  const stretches = index.shadow.filter(({ at }) => at < index.sizeBefore);
  const hasTail = device.growable && index.sizeAfter > index.sizeBefore;
  const tidied = await inState('new', () =>
    tidy(device, file, index, { stretches, hasTail }, verify),
  );
  return { switched: true, ...tidied, restoredBytes: punchedBytes + tidied.restoredBytes };
}

/** What the edit wrote that the old state does not refer to. */
interface Rest {
  readonly stretches: readonly KeptStretch[];
  readonly hasTail: boolean;
}

async function tidy(
  device: BlockDevice,
  file: BlockSource,
  index: UndoIndex,
  { stretches, hasTail }: Rest,
  verify: boolean,
): Promise<Pick<UndoReport, 'restoredBytes' | 'cutBytes'>> {
  const restoredBytes = await restore(device, file, index, stretches, verify);
  if (hasTail) await device.truncate(index.sizeBefore);
  if (hasTail || stretches.length > 0) await device.flush();
  return { restoredBytes, cutBytes: hasTail ? index.sizeAfter - index.sizeBefore : 0 };
}

/**
 * Finds the bytes of the edit in an image that already has its old header. These clusters are free, so another edit
 * may have taken them: a stretch counts only if it is byte for byte as the edit wrote it.
 */
async function leftBehind(
  device: BlockDevice,
  index: UndoIndex,
  newHasher: NewHasher,
): Promise<Rest> {
  const { sizeBefore, sizeAfter, shadow } = index;
  const inside: KeptStretch[] = [];
  for (const stretch of shadow.filter(({ at }) => at < sizeBefore)) {
    const bytes = await readStretch(device, stretch);
    // Zeros may be what somebody else has there.
    if (!isZero(bytes) && isAsWritten(bytes, stretch, newHasher)) {
      inside.push(stretch);
    }
  }
  const hasLength = sizeAfter > sizeBefore && (await device.sizeBytes()) === sizeAfter;
  const hasTail = device.growable && hasLength && (await isTailOurs(device, index, newHasher));
  return { stretches: inside, hasTail };
}

/** Whether the file holds behind its old end what the edit wrote there, and nothing else. */
async function isTailOurs(
  device: BlockDevice,
  { sizeBefore, sizeAfter, shadow }: UndoIndex,
  newHasher: NewHasher,
): Promise<boolean> {
  let at = sizeBefore;
  const behind = shadow.filter((one) => one.at + one.length > sizeBefore);
  for (const stretch of behind.toSorted((a, b) => a.at - b.at)) {
    if (!(await isZeroOn(device, at, stretch.at))) return false;
    if (!isAsWritten(await readStretch(device, stretch), stretch, newHasher)) return false;
    at = stretch.at + stretch.length;
  }
  return isZeroOn(device, at, sizeAfter);
}

async function isZeroOn(device: BlockDevice, from: number, end: number): Promise<boolean> {
  for (let at = from; at < end; at += CHUNK_BYTES) {
    const bytes = await readStretch(device, { at, length: Math.min(CHUNK_BYTES, end - at) });
    if (!isZero(bytes)) return false;
  }
  return true;
}

async function readStretch(
  device: BlockDevice,
  { at, length }: { readonly at: number; readonly length: number },
): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  await device.readBatch([{ at, into }]);
  return into;
}

function isAsWritten(
  bytes: Uint8Array,
  { sha256After }: ShadowStretch,
  newHasher: NewHasher,
): boolean {
  return digestOf(bytes, newHasher) === sha256After;
}

/** Writes kept bytes back, up to the old end of the file. Behind it nothing is written: it is cut off later. */
async function restore(
  device: BlockDevice,
  file: BlockSource,
  { sizeBefore }: UndoIndex,
  stretches: readonly KeptStretch[],
  verify: boolean,
  signal?: AbortSignal,
): Promise<number> {
  let bytes = 0;
  for (const stretch of stretches) {
    throwIfAborted(signal, 'the undoing');
    const length = Math.min(stretch.length, sizeBefore - stretch.at);
    const kept = await readKept(file, { ...stretch, length });
    await device.writeBatch([{ at: stretch.at, bytes: kept }]);
    if (verify && !hasSameBytes(await readStretch(device, { at: stretch.at, length }), kept)) {
      throw notAsWritten('kept bytes', stretch.at);
    }
    bytes += length;
  }
  return bytes;
}

/** A host may give back a part of a range only; it is zeros by sectors then. */
const SECTOR_BYTES = 512;

/** Whether a range that the edit gave back reads as zeros, or as what was in it before. */
async function isGivenBack(
  device: BlockDevice,
  file: BlockSource,
  stretch: KeptStretch,
  sizeBefore: number,
): Promise<boolean> {
  const length = Math.min(stretch.length, sizeBefore - stretch.at);
  const now = await readStretch(device, { at: stretch.at, length });
  if (isZero(now)) return true;
  const kept = await readKept(file, { ...stretch, length });
  for (let at = 0; at < length; at += SECTOR_BYTES) {
    const end = Math.min(at + SECTOR_BYTES, length);
    if (!isZero(now, at, end) && !hasSameBytes(now.subarray(at, end), kept.subarray(at, end))) {
      return false;
    }
  }
  return true;
}

/**
 * Whether the image is, but for guest data, byte for byte what the edit left. Who took a freed cluster and let go of it
 * again leaves all tables as they were: the old state would find foreign bytes where it has its own.
 */
async function refuseIfUsed(
  device: BlockDevice,
  file: BlockSource,
  index: UndoIndex,
  header: Uint8Array,
  newHasher: NewHasher,
): Promise<void> {
  const refuse = (structure: string): never => {
    throw new QsnapError(
      'IMAGE_CHANGED',
      `the image is not as the ${printableText(index.operation)} left it, so that can't be undone`,
      {
        structure,
        hint: 'it was used since, or is another image; undoing would lose what was done since',
        imageState: 'unchanged',
      },
    );
  };
  if (!hasSameBytes(header, bytesOfHex(index.headerAfter))) refuse('header');
  const size = await device.sizeBytes();
  if (size !== index.sizeAfter) refuse('file length');
  for (const stretch of index.shadow) {
    const bytes = await readStretch(device, stretch);
    if (!isAsWritten(bytes, stretch, newHasher)) refuse('tables');
  }
  for (const stretch of index.punched) {
    if (!(await isGivenBack(device, file, stretch, index.sizeBefore))) refuse('freed clusters');
  }
  for (const stretch of index.freed) {
    const bytes = await readStretch(device, stretch);
    if (digestOf(bytes, newHasher) !== stretch.sha256Before) refuse('freed clusters');
  }
  // It is cut off in the end.
  if (!(await isTailOurs(device, index, newHasher))) refuse('bytes behind the old end');
}
