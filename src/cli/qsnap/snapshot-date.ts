import type { CliStreams } from '../streams.js';
import type { DateValue } from './date-option.js';

/** The present moment as a snapshot records it. */
export function dateNow(io: CliStreams): DateValue {
  const milliseconds = io.now().getTime();
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanoseconds: (milliseconds - seconds * 1000) * 1_000_000 };
}
