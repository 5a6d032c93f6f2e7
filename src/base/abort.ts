import { QsnapError } from '../errors.js';

/** @throws QsnapError ABORTED when the caller asked for a stop. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted !== true) return;
  throw new QsnapError('ABORTED', `${what} was stopped before it was complete`, {}, signal.reason);
}
