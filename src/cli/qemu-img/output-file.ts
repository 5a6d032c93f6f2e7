/** The file that `convert` writes: made or emptied, locked, and gone again if nothing comes of it. */
import { closeSync, openSync, rmSync, statSync, type Stats } from 'node:fs';
import { isQsnapError } from '../../index.js';
import { openFileForEdit } from '../../node.js';
import type { EditableFile } from './opened.js';

/** What the umask leaves of it, as for any program's output. */
const NEW_FILE_MODE = 0o666;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface OutputFile {
  readonly device: EditableFile;
  /** Makes it empty, as far as a file can be: what was in it is lost. */
  readonly empty: () => Promise<void>;
  /** Leaves nothing that could be taken for an image: removes what was made, empties what was there. */
  readonly discard: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Opens a file for output, locked against everybody, and makes it if it isn't there. Nothing in it
 * changes yet. While it is open, a signal that ends the process removes what was made.
 *
 * @throws QsnapError OPEN_FAILED, NOT_A_FILE, IMAGE_IN_USE.
 */
export async function openOutput(path: string): Promise<OutputFile> {
  const isNew = makeIfAbsent(path);
  let device: EditableFile;
  try {
    device = await openFileForEdit(path);
  } catch (error) {
    if (isNew) rmSync(path, { force: true });
    throw error;
  }
  const remove = (): void => {
    if (isNew) rmSync(path, { force: true });
  };
  const stopWatching = onSignal(remove);
  let touched = false;
  return {
    device,
    empty: async () => {
      touched = true;
      if (device.growable) await device.truncate(0);
    },
    discard: async () => {
      remove();
      if (!isNew && touched && device.growable) await device.truncate(0);
    },
    close: async () => {
      stopWatching();
      await device.close();
    },
  };
}

function makeIfAbsent(path: string): boolean {
  try {
    closeSync(openSync(path, 'wx', NEW_FILE_MODE));
    return true;
  } catch {
    // It is there, or opening it will say why it can't be made.
    return false;
  }
}

/** Runs `work` when the process is told to end, and lets it end. */
function onSignal(work: () => void): () => void {
  const listeners = SIGNALS.map((signal) => {
    const listener = (): void => {
      work();
      process.removeListener(signal, listener);
      process.kill(process.pid, signal);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return () => {
    for (const { signal, listener } of listeners) process.removeListener(signal, listener);
  };
}

/** Tells the files apart that an output must not be. */
export function isOneOf(path: string, others: readonly string[]): boolean {
  const own = identityOf(path);
  return own !== undefined && others.some((other) => identityOf(other) === own);
}

function identityOf(path: string): string | undefined {
  let found: Stats | undefined;
  try {
    found = statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
  return found === undefined ? undefined : `${found.dev}:${found.ino}`;
}
