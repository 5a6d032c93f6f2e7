/** Progress as `-p` prints it: to stdout, whether or not that is a terminal. */
import type { QemuImgIo } from './disks/io.js';

export interface PercentLines {
  /** Where the work is, in per cent; printed if it has moved on enough since the last line. */
  readonly at: (percent: number) => void;
  /** Counts on from where the work was. */
  readonly add: (percent: number) => void;
  /** Ends the line. */
  readonly end: () => void;
}

const SILENT: PercentLines = { at: () => undefined, add: () => undefined, end: () => undefined };

/**
 * Begins with 0 per cent. Numbers are as narrow as QEMU's, so that they are rounded alike.
 *
 * @param step how many per cent have to pass between two lines; 0 and 100 are always printed.
 */
export function percentLines(io: QemuImgIo, wanted: boolean, step: number): PercentLines {
  if (!wanted) return SILENT;
  let current = 0;
  let printed = 0;
  const at = (percent: number): void => {
    current = Math.min(100, Math.fround(percent));
    const isNews = current > Math.fround(printed + step) || current < Math.fround(printed - step);
    if (!isNews && current !== 0 && current !== 100) return;
    printed = current;
    io.print(`    (${twoPlaces(current)}/100%)\r`);
  };
  at(0);
  return {
    at,
    add: (percent) => {
      at(Math.fround(current) + Math.fround(percent));
    },
    end: () => {
      io.print('\n');
    },
  };
}

/** As printf has it: halves go to the even digit. */
export function twoPlaces(value: number): string {
  const hundredths = value * 100;
  const below = Math.floor(hundredths);
  // Exact: a float has 24 bits, times 100 is less than 53.
  const isHalf = hundredths - below === 0.5;
  const rounded = isHalf && below % 2 === 0 ? below : Math.round(hundredths);
  return (rounded / 100).toFixed(2);
}
