import type { CliOutput } from './streams.js';
import { oneSafeLine } from './text.js';

/** How long work may take in silence, and how often the line changes after that. */
export const PROGRESS_DELAY_MS = 1000;
const PROGRESS_EVERY_MS = 100;

const CLEAR_LINE = '\r\x1b[2K';

export interface Progress {
  /** What is being done, such as `reading the tables`; forgets the numbers of the one before. */
  readonly phase: (text: string) => void;
  /** How far the phase is. */
  readonly update: (doneBytes: number, totalBytes: number) => void;
  /** Removes the line. To be called before anything else is printed. */
  readonly stop: () => void;
}

const SILENT: Progress = { phase: () => undefined, update: () => undefined, stop: () => undefined };

/** A line on a terminal once the work takes more than a second; nothing anywhere else. */
export function startProgress(output: CliOutput, wanted: boolean): Progress {
  if (!wanted || !output.isTerminal) return SILENT;
  let text = '';
  let percent: number | undefined;
  let shown = '';
  const show = (): void => {
    const line = percent === undefined ? `${text} …` : `${text} … ${percent} %`;
    if (line === shown) return;
    shown = line;
    output.write(CLEAR_LINE + line);
  };
  let every: NodeJS.Timeout | undefined;
  const delay = setTimeout(() => {
    show();
    every = setInterval(show, PROGRESS_EVERY_MS);
  }, PROGRESS_DELAY_MS);
  return {
    phase: (next) => {
      text = oneSafeLine(next);
      percent = undefined;
    },
    update: (done, total) => {
      percent = total === 0 ? 100 : Math.floor((done / total) * 100);
    },
    stop: () => {
      clearTimeout(delay);
      clearInterval(every);
      if (shown !== '') output.write(CLEAR_LINE);
      shown = '';
    },
  };
}
