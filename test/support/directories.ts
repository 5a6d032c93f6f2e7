/** Throw-away directories for the images that tests work on. */
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

const leftToTheFile = new Set<string>();

/** Removes what no single test removes. Called after the last test of every file. */
export function removeDirectories(): void {
  for (const directory of leftToTheFile) rmSync(directory, { recursive: true, force: true });
  leftToTheFile.clear();
}

/**
 * A new empty directory under the system's temporary directory. Called inside a test it goes away
 * with the test; called from a hook, after the last test of the file.
 */
export function temporaryDirectory(): string {
  return newDirectoryIn(tmpdir());
}

const SHARED_MEMORY = '/dev/shm';
/** The file system that is memory, as Linux numbers it. */
const TMPFS = 0x0102_1994;
const ROOM_BYTES = 2 ** 30;

/**
 * The same in memory where there is room for it: for tests of the bytes in a file alone, since QEMU
 * waits for the disk at each of many flushes. What a disk does with a file is not to be seen there.
 */
export function memoryDirectory(): string {
  if (!existsSync(SHARED_MEMORY)) return temporaryDirectory();
  const { type, bavail, bsize } = statfsSync(SHARED_MEMORY);
  const isRoomy = type === TMPFS && bavail * bsize >= ROOM_BYTES;
  return isRoomy ? newDirectoryIn(SHARED_MEMORY) : temporaryDirectory();
}

function newDirectoryIn(parent: string): string {
  const directory = mkdtempSync(path.join(parent, 'qsnap-test-'));
  try {
    onTestFinished(() => {
      rmSync(directory, { recursive: true, force: true });
    });
  } catch {
    leftToTheFile.add(directory);
  }
  return directory;
}
