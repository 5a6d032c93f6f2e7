/** The lines of `convert -p`: QEMU counts the bytes that it is about to copy, piece by piece. */
import type { CopyOptions, GuestDisk, ImageWriter } from '../../index.js';
import type { ConvertRequest } from './convert-arguments.js';
import type { PercentLines } from './percent-lines.js';
import { statusRuns } from './status-runs.js';

/** QEMU copies no more at a time; compressed, one cluster. */
const PIECE_BYTES = 2 * 1024 * 1024;

interface CopyProgress {
  /** Called with the guest offset up to which all is done. */
  readonly onProgress: (doneBytes: number) => void;
  /** Prints what is left to print. */
  readonly end: () => Promise<void>;
}

const SILENT: CopyProgress = { onProgress: () => undefined, end: () => Promise.resolve() };

export async function copyProgress(
  disk: GuestDisk,
  writer: ImageWriter,
  request: ConvertRequest,
  { below }: CopyOptions,
  lines: PercentLines,
): Promise<CopyProgress> {
  if (!request.progress) return SILENT;
  const pieces: number[] = [];
  let total = 0;
  const pieceBytes = request.compressed ? writer.clusterBytes : PIECE_BYTES;
  for await (const { start, end, zero, depth } of statusRuns(disk)) {
    const isCopied = request.sparseBytes === 0 || !zero;
    if (!isCopied || (below !== undefined && depth >= below)) continue;
    total += end - start;
    for (let from = start; from < end; from += pieceBytes) {
      pieces.push(Math.min(end, from + pieceBytes), Math.min(pieceBytes, end - from));
    }
  }
  let next = 0;
  let done = 0;
  const printTo = (at: number): void => {
    for (; next < pieces.length && pieces[next]! <= at; next += 2) {
      done += pieces[next + 1]!;
      lines.at((100 * done) / total);
    }
  };
  return {
    onProgress: printTo,
    end: () => {
      printTo(Infinity);
      return Promise.resolve();
    },
  };
}
