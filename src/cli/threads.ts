/**
 * Reads that a program keeps in flight. Node's own number is 4, with which a cold disk gives two thirds
 * of what it can.
 */
const THREADS = '16';

/** Before anything is read: the system's threads are made then. */
export function useThreads(env: Record<string, string | undefined>): void {
  env['UV_THREADPOOL_SIZE'] ??= THREADS;
}
