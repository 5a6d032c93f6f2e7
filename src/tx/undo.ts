import { MiB } from '../base/units.js';
import type { NewHasher } from '../base/hasher.js';
import { hexOfBytes, sameBytes } from '../base/text.js';
import { QsnapError } from '../errors.js';
import type { BlockDevice, BlockSource, ByteRange } from '../io/device.js';
import { executePlan } from './execute.js';
import type { WritePlan } from './plan.js';
import { shadowBatches } from './shadow-batches.js';
import {
  readKept,
  readUndoIndex,
  UndoWriter,
  type KeptStretch,
  type ShadowStretch,
  type UndoIndex,
} from './undo-file.js';

const CHUNK_BYTES = 4 * MiB;
/** The header's fields that an edit may change end here. */
const SWITCH_END = 96;

/** What an undo file is about. */
export interface UndoAbout {
  /** What the image is called. */
  readonly image: string;
  readonly operation: string;
}

/**
 * Keeps everything that a plan is going to overwrite or give back, before it is carried out.
 *
 * @param file a new, empty file; it is whole and on the medium when this resolves.
 */
export async function saveUndo(
  source: BlockSource,
  plan: WritePlan,
  file: BlockDevice,
  newHasher: NewHasher,
  about: UndoAbout,
): Promise<UndoIndex> {
  const writer = await UndoWriter.start(file, newHasher);
  const shadow: ShadowStretch[] = [];
  let sizeAfter = plan.fileSizeBytes;
  for (const write of plan.shadow) {
    for await (const batch of shadowBatches(source, write)) {
      for (const { at, bytes } of joined(batch)) {
        const hasher = newHasher();
        hasher.update(bytes);
        const sha256After = hasher.digest();
        const kept = await keepStretch(source, plan, writer, { at, length: bytes.length });
        shadow.push({ ...kept, sha256After });
        sizeAfter = Math.max(sizeAfter, at + bytes.length);
      }
    }
  }
  const punched: KeptStretch[] = [];
  for (const range of plan.punch.flatMap(chunksOf)) {
    punched.push(await keepStretch(source, plan, writer, range));
  }
  const headerAfter = plan.headerSector.slice();
  headerAfter.set(plan.switch.bytes, plan.switch.at);
  const index: UndoIndex = {
    ...about,
    sizeBefore: plan.fileSizeBytes,
    sizeAfter,
    switchAt: plan.switch.at,
    headerBefore: hexOfBytes(plan.headerSector),
    headerAfter: hexOfBytes(headerAfter),
    shadow,
    punched,
  };
  await writer.finish(index);
  return index;
}

/** Requests of a batch that are neighbours, as one. */
function joined(
  batch: readonly { readonly at: number; readonly bytes: Uint8Array }[],
): { at: number; bytes: Uint8Array }[] {
  const runs: { at: number; parts: Uint8Array[]; length: number }[] = [];
  for (const { at, bytes } of batch) {
    const last = runs.at(-1);
    if (last !== undefined && last.at + last.length === at) {
      last.parts.push(bytes);
      last.length += bytes.length;
    } else {
      runs.push({ at, parts: [bytes], length: bytes.length });
    }
  }
  return runs.map(({ at, parts, length }) => {
    const bytes = new Uint8Array(length);
    let to = 0;
    for (const part of parts) {
      bytes.set(part, to);
      to += part.length;
    }
    return { at, bytes };
  });
}

async function keepStretch(
  source: BlockSource,
  plan: WritePlan,
  writer: UndoWriter,
  range: ByteRange,
): Promise<KeptStretch> {
  if (range.at >= plan.fileSizeBytes) return range;
  const into = new Uint8Array(range.length);
  await source.readBatch([{ at: range.at, into }]);
  const keptAt = await writer.keep(into);
  return { ...range, ...(keptAt !== undefined && { keptAt }) };
}

function chunksOf({ at, length }: ByteRange): ByteRange[] {
  const chunks: ByteRange[] = [];
  for (let done = 0; done < length; done += CHUNK_BYTES) {
    chunks.push({ at: at + done, length: Math.min(CHUNK_BYTES, length - done) });
  }
  return chunks;
}

/** What an undo did. */
export interface UndoReport {
  /** False where the image was in the state from before already, and nothing was written. */
  readonly switched: boolean;
  /** Bytes put back where the edit had written or given back. */
  readonly restoredBytes: number;
}

/**
 * Puts back what the edit overwrote: first what it gave back to the host, then, by one write of the
 * header, the old state, then the bytes that lay in free clusters, and the length of the file. Each
 * step leaves an image that is whole: the old one or the new one.
 *
 * @throws QsnapError UNDO_FILE_INVALID; IMAGE_CHANGED when the image is neither what the edit left
 *   nor what it found. Nothing is written then.
 */
export async function executeUndo(
  device: BlockDevice,
  file: BlockSource,
  newHasher: NewHasher,
): Promise<UndoReport> {
  const index = await readUndoIndex(file, newHasher);
  const headerBefore = bytesOfHex(index.headerBefore);
  const header = new Uint8Array(headerBefore.length);
  await device.readBatch([{ at: 0, into: header }]);
  // What lies in free clusters then may be anybody's by now.
  if (sameBytes(header, headerBefore)) return { switched: false, restoredBytes: 0 };
  await refuseIfUsed(device, index, header, newHasher);
  let restoredBytes = await restore(device, file, index.punched);
  await executePlan(device, {
    headerSector: header,
    fileSizeBytes: index.sizeAfter,
    shadow: [],
    switch: { at: index.switchAt, bytes: headerBefore.subarray(index.switchAt, SWITCH_END) },
    punch: [],
  });
  const inside = index.shadow.filter(({ at }) => at < index.sizeBefore);
  restoredBytes += await restore(device, file, inside);
  if (index.sizeAfter > index.sizeBefore && device.growable) {
    await device.truncate(index.sizeBefore);
  }
  await device.flush();
  return { switched: true, restoredBytes };
}

async function restore(
  device: BlockDevice,
  file: BlockSource,
  stretches: readonly KeptStretch[],
): Promise<number> {
  let bytes = 0;
  for (const stretch of stretches) {
    await device.writeBatch([{ at: stretch.at, bytes: await readKept(file, stretch) }]);
    bytes += stretch.length;
  }
  return bytes;
}

/** Whether the image is, but for guest data, byte for byte what the edit left. */
async function refuseIfUsed(
  device: BlockDevice,
  index: UndoIndex,
  header: Uint8Array,
  newHasher: NewHasher,
): Promise<void> {
  const refuse = (structure: string): never => {
    throw new QsnapError(
      'IMAGE_CHANGED',
      `the image is not as the ${index.operation} left it, so that can't be undone`,
      {
        structure,
        hint: 'it was used since, or is another image; undoing would lose what was done since',
        imageState: 'unchanged',
      },
    );
  };
  if (!sameBytes(header, bytesOfHex(index.headerAfter))) refuse('header');
  const size = await device.sizeBytes();
  if (device.growable && size !== index.sizeAfter) refuse('file length');
  for (const stretch of index.shadow) {
    const into = new Uint8Array(stretch.length);
    await device.readBatch([{ at: stretch.at, into }]);
    const hasher = newHasher();
    hasher.update(into);
    if (hasher.digest() !== stretch.sha256After) refuse('tables');
  }
}

function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}
