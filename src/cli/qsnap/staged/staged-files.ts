import { git, type GitPlace } from './git.js';

/** A file of the index that is not as the last commit has it. */
export interface StagedFile {
  /** From the top of the repository, with slashes. */
  readonly path: string;
  /** Of its bytes in the index. */
  readonly blob: string;
}

/**
 * The plumbing, but for `diff` itself: that knows what to compare with before the first commit. Where renames are not
 * looked for, each is a new file.
 */
const STAGED = [
  ...['-c', 'diff.relative=false', 'diff', '--cached', '--raw', '-z', '--no-abbrev'],
  ...['--no-renames', '--diff-filter=AMT'],
];

/**
 * The files that a commit of the index would add or change, by ascending path. Deleted files, links and submodules are
 * none.
 *
 * @throws QsnapError OPEN_FAILED where git fails; ABORTED.
 */
export async function stagedFiles(place: GitPlace): Promise<readonly StagedFile[]> {
  return parseRaw(await git(STAGED, place));
}

const REGULAR = /^100\d{3}$/;

/** `:100644 100644 OLD NEW M`, NUL, the path, NUL. */
export function parseRaw(raw: Uint8Array): readonly StagedFile[] {
  const fields = new TextDecoder().decode(raw).split('\0');
  const files: StagedFile[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const [, mode, , blob] = fields[i]!.split(' ');
    if (REGULAR.test(mode!)) files.push({ path: fields[i + 1]!, blob: blob! });
  }
  return files;
}
