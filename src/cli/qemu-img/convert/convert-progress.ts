/** The lines of `convert -p`: QEMU counts the bytes that it is about to copy, piece by piece. */
import type { Piece } from './convert-pieces.js';
import type { PercentLines } from '../percent-lines.js';

interface CopyProgress {
  /** Called with the guest offset up to which all is done. */
  readonly onProgress: (doneBytes: number) => void;
  /** Prints what is left to print. */
  readonly end: () => void;
}

export function copyProgress(pieces: readonly Piece[], lines: PercentLines): CopyProgress {
  const total = pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  let next = 0;
  let done = 0;
  const onProgress = (at: number): void => {
    for (; next < pieces.length && pieces[next]!.end <= at; next++) {
      done += pieces[next]!.bytes;
      lines.at((100 * done) / total);
    }
  };
  return {
    onProgress,
    end: () => {
      onProgress(Infinity);
    },
  };
}
