import { MiB } from '../../base/units.js';
import { digestOf, type NewHasher } from '../../base/hasher.js';
import { hexOfBytes } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import type { BlockDevice, BlockSource, ByteRange } from '../../io/device.js';
import { refuseOneDevice, refuseUsedFile } from '../../io/new-device.js';
import type { WritePlan } from './plan.js';
import { shadowBatches } from './shadow-batches.js';
import { UndoWriter } from './undo-file.js';
import {
  UNDO_LIMITS,
  type FreedStretch,
  type KeptStretch,
  type ShadowStretch,
  type UndoIndex,
} from './undo-index.js';

const CHUNK_BYTES = 4 * MiB;

/** What an undo file is about. */
export interface UndoAbout {
  /** What the image is called. */
  readonly image: string;
  readonly operation: string;
}

/**
 * Keeps everything that a plan is going to overwrite or give back, before it is carried out, and a digest of what it
 * only leaves free: others may use these bytes afterwards, and then the old state is no longer whole.
 *
 * ```ts
 * const { plan } = await proposeRepair(device, () => ({ classes: ['all'] }));
 * if (plan) {
 *   const file = await createNewFile('old.undo');
 *   await saveUndo(device, plan, file, newSha256, { image: 'disk.qcow2', operation: 'repair' });
 *   await file.close();
 *   await executePlan(plan);
 * }
 * ```
 *
 * @param file a new, empty file; it is whole and on the medium when this resolves.
 * @throws QsnapError OUTPUT_EXISTS, OUTPUT_IS_INPUT; LIMIT_EXCEEDED where more is overwritten than an undo file can name.
 */
export async function saveUndo(
  source: BlockSource,
  plan: WritePlan,
  file: BlockDevice,
  newHasher: NewHasher,
  about: UndoAbout,
): Promise<UndoIndex> {
  await refuseOneDevice(source, file);
  await refuseUsedFile(file, 'an undo file');
  const writer = await UndoWriter.start(file, newHasher);
  const shadow: ShadowStretch[] = [];
  let sizeAfter = plan.fileSizeBytes;
  for (const write of plan.shadow) {
    for await (const batch of shadowBatches(source, write)) {
      for (const { at, bytes } of joined(batch)) {
        refuseTooMany(shadow.length);
        const sha256After = digestOf(bytes, newHasher);
        const kept = await keepStretch(source, plan, writer, { at, length: bytes.length });
        shadow.push({ ...kept, sha256After });
        sizeAfter = Math.max(sizeAfter, at + bytes.length);
      }
    }
  }
  const punched: KeptStretch[] = [];
  for (const range of plan.punch.flatMap((one) => chunksOf(one, plan.fileSizeBytes))) {
    refuseTooMany(shadow.length + punched.length);
    punched.push(await keepStretch(source, plan, writer, range));
  }
  const freed: FreedStretch[] = [];
  const leftFree = rangesWithout(plan.freed, plan.punch);
  for (const range of leftFree.flatMap((one) => chunksOf(one, plan.fileSizeBytes))) {
    refuseTooMany(shadow.length + punched.length + freed.length);
    const bytes = await readRange(source, range);
    freed.push({ ...range, sha256Before: digestOf(bytes, newHasher) });
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
    freed,
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
  const keptAt = await writer.keep(await readRange(source, range));
  return { ...range, ...(keptAt !== undefined && { keptAt }) };
}

async function readRange(source: BlockSource, { at, length }: ByteRange): Promise<Uint8Array> {
  const into = new Uint8Array(length);
  await source.readBatch([{ at, into }]);
  return into;
}

/** What lies in the ranges and in none of the others. */
function rangesWithout(ranges: readonly ByteRange[], others: readonly ByteRange[]): ByteRange[] {
  const sorted = others.toSorted((a, b) => a.at - b.at);
  const left: ByteRange[] = [];
  let next = 0;
  for (const { at, length } of ranges.toSorted((a, b) => a.at - b.at)) {
    const end = at + length;
    let from = at;
    while (next < sorted.length && sorted[next]!.at < end) {
      const other = sorted[next]!;
      if (other.at > from) left.push({ at: from, length: other.at - from });
      from = Math.max(from, other.at + other.length);
      // One that reaches further may lie over the next range, too.
      if (from > end) break;
      next += 1;
    }
    if (from < end) left.push({ at: from, length: end - from });
  }
  return left;
}

/** What lies behind the end of the file is not there to be given back. */
function chunksOf({ at, length }: ByteRange, fileSizeBytes: number): ByteRange[] {
  const chunks: ByteRange[] = [];
  const end = Math.min(at + length, fileSizeBytes);
  for (let from = at; from < end; from += CHUNK_BYTES) {
    chunks.push({ at: from, length: Math.min(CHUNK_BYTES, end - from) });
  }
  return chunks;
}

function refuseTooMany(stretches: number): void {
  const most = UNDO_LIMITS.stretchesMax;
  if (stretches < most) return;
  throw new QsnapError('LIMIT_EXCEEDED', `it would take more than ${most} stretches to undo that`, {
    structure: 'undo file',
    expected: `at most ${most} stretches`,
    hint: 'copy the image instead, and go on without an undo file',
    imageState: 'unchanged',
  });
}
