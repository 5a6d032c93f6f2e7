const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

let received: NodeJS.Signals | undefined;

/** Runs work that can be told to stop. */
export type Interruptible = <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;

/** For a face that no signals reach, as in tests. */
export const uninterrupted: Interruptible = (work) => work(new AbortController().signal);

/**
 * Runs work that cleans up after itself when the process is told to end. The first signal aborts it; a second
 * one ends the process at once.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    received = signal;
    stopListening();
    controller.abort(signal);
  };
  const stopListening = (): void => {
    for (const name of SIGNALS) process.removeListener(name, onSignal);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  try {
    return await work(controller.signal);
  } finally {
    stopListening();
  }
}

/** The signal that interrupted some work: the process dies of it when all is said, as its parent expects. */
export const signalToDieOf = (): NodeJS.Signals | undefined => received;
