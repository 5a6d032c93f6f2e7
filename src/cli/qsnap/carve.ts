/** What `scan --carve` writes: the bytes of candidates as they lie in the file. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { QsnapError, type BlockSource, type Candidate, type ScanReport } from '../../index.js';
import { carvedRange, isZero, printableText, throwIfAborted } from '../../internal.js';
import { createOutputFile } from '../../node/index.js';
import { hexText } from '../text.js';

/** Bytes that are copied at a time. */
const COPY_BYTES = 4 * 2 ** 20;

/**
 * Writes each candidate to a file of its own in a new folder.
 *
 * @returns the names of the files in the folder, by the number of the candidate.
 * @throws QsnapError OUTPUT_EXISTS where the folder is there, OPEN_FAILED where it can't be made, and what writing throws.
 */
export async function carve(
  source: BlockSource,
  report: ScanReport,
  candidates: readonly Candidate[],
  folder: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, string>> {
  await newFolder(folder);
  const names = new Map<number, string>();
  for (const candidate of candidates) {
    const { number, kind, at } = candidate;
    const name = `${String(number).padStart(4, '0')}-${kind}-${hexText(at)}.bin`;
    const range = carvedRange(report, candidate);
    const file = await createOutputFile(path.join(folder, name));
    try {
      await file.device.truncate(range.length);
      for (let done = 0; done < range.length; done += COPY_BYTES) {
        throwIfAborted(signal, 'the copy');
        const bytes = new Uint8Array(Math.min(COPY_BYTES, range.length - done));
        await source.readBatch([{ at: range.at + done, into: bytes }]);
        if (!isZero(bytes)) await file.device.writeBatch([{ at: done, bytes }]);
      }
      await file.device.flush();
      await file.commit();
    } finally {
      await file.discard();
    }
    names.set(number, name);
  }
  return names;
}

async function newFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const isThere = (error as { code?: string }).code === 'EEXIST';
    throw new QsnapError(
      isThere ? 'OUTPUT_EXISTS' : 'OPEN_FAILED',
      `the folder ${printableText(folder)} ${isThere ? 'exists' : "can't be made"}`,
      { file: folder, hint: 'name a folder that is not there yet, in one that is' },
      error,
    );
  }
}
