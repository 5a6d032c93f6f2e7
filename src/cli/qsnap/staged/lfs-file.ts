import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { git, type GitPlace } from './git.js';
import type { LfsPointer } from './lfs-pointer.js';

/** Where files of Git LFS lie. */
export interface LfsPlaces {
  /** The folder that all working trees share. */
  readonly gitFolder: string;
  /** Undefined where there is no working tree. */
  readonly workTree: string | undefined;
}

/**
 * Asks git where it works.
 *
 * @throws QsnapError OPEN_FAILED where this is no repository; ABORTED.
 */
export async function lfsPlaces(place: GitPlace): Promise<LfsPlaces> {
  const gitFolder = lineOf(await git(['rev-parse', '--git-common-dir'], place));
  const top = git(['rev-parse', '--show-toplevel'], place).then(lineOf, () => undefined);
  return { gitFolder, workTree: await top };
}

const lineOf = (output: Buffer): string => output.toString().replace(/\n$/, '');

/** A file, and how it begins. */
interface FoundFile {
  readonly file: string;
  readonly head: Buffer;
}

/**
 * The file that a pointer stands for: where Git LFS keeps what was added, or in the working tree. Only a file with the
 * pointer's SHA-256 is the one.
 *
 * @param path of the pointer in the repository.
 */
export async function findLfsFile(
  { sha256, sizeBytes }: LfsPointer,
  path: string,
  { gitFolder, workTree }: LfsPlaces,
): Promise<FoundFile | undefined> {
  const kept = join(gitFolder, 'lfs', 'objects', sha256.slice(0, 2), sha256.slice(2, 4), sha256);
  const files = [kept, ...(workTree === undefined ? [] : [join(workTree, path)])];
  for (const file of files) {
    const head = await headIfSame(file, sha256, sizeBytes);
    if (head !== undefined) return { file, head };
  }
  return undefined;
}

/** The first bytes of a file with this content; undefined where it has another one, or can't be read. */
async function headIfSame(
  file: string,
  sha256: string,
  sizeBytes: number,
): Promise<Buffer | undefined> {
  try {
    // The reader of a pipe would wait for a writer.
    const status = await stat(file);
    if (!status.isFile() || status.size !== sizeBytes) return undefined;
    const opened = await open(file, 'r');
    try {
      const hash = createHash('sha256');
      let head = Buffer.alloc(0);
      for await (const piece of opened.createReadStream({ autoClose: false })) {
        if (head.length < 4) head = Buffer.concat([head, piece as Buffer]).subarray(0, 4);
        hash.update(piece as Buffer);
      }
      return hash.digest('hex') === sha256 ? head : undefined;
    } finally {
      await opened.close();
    }
  } catch {
    return undefined;
  }
}
