import { setTimeout as sleep } from 'node:timers/promises';

/** How often a database that does not answer is asked again. */
const AGAIN_MS = 500;

/** SQLSTATE classes of a server that goes down or comes up, and of connections that end. */
const PASSING = /^(08|57P0|53300|40001|40P01)/;
const PASSING_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENOENT',
]);

/** Whether the same statement may work a moment later. */
export function isPassing(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isPassing);
  if (!(error instanceof Error)) return false;
  if (error.cause !== undefined) return isPassing(error.cause);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (PASSING.test(code) || PASSING_CODES.has(code)) return true;
  return /connection terminated|timeout exceeded when trying to connect|not queryable/i.test(
    error.message,
  );
}

/**
 * Does something with a database that may go away for a while.
 *
 * @param patienceMs how long it may be away; 0: it is asked once.
 * @throws what `work` throws, once there is no hope.
 */
export async function patiently<T>(
  work: () => Promise<T>,
  patienceMs: number,
  signal?: AbortSignal,
): Promise<T> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || signal?.aborted === true || performance.now() >= until) throw error;
      await sleep(AGAIN_MS);
    }
  }
}
