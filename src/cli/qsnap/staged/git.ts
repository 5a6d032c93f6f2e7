import type { ChildProcess } from 'node:child_process';
import { QsnapError } from '../../../index.js';

/** Where git runs: what a hook sets (GIT_DIR, GIT_INDEX_FILE) is among the environment. */
export interface GitPlace {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** The list of a commit with some hundred thousand files. */
const OUTPUT_BYTES_MAX = 256 * 2 ** 20;

/** Half of what it loads is for nothing else, and most audits need no git. */
const processes = (): Promise<typeof import('node:child_process')> => import('node:child_process');

/**
 * What a git command prints.
 *
 * @throws QsnapError OPEN_FAILED with git's own words where it fails or is not there; ABORTED.
 */
export async function git(args: readonly string[], place: GitPlace): Promise<Buffer> {
  const { execFile } = await processes();
  const options = {
    env: quietly(place.env),
    signal: place.signal,
    encoding: 'buffer',
    maxBuffer: OUTPUT_BYTES_MAX,
  } as const;
  return new Promise((resolve, reject) => {
    execFile('git', args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(gitFailed(error, stderr, place));
    });
  });
}

/** A git command that is written to and read from. */
export async function startGit(
  args: readonly string[],
  { env, signal }: GitPlace,
): Promise<ChildProcess> {
  const { spawn } = await processes();
  return spawn('git', args, { env: quietly(env), signal, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** Git as a whole ends with its first line on stderr: what follows is advice on git. */
export function gitFailed(error: Error, stderr: Buffer | string, { signal }: GitPlace): QsnapError {
  if (signal.aborted) {
    return new QsnapError('ABORTED', 'the audit was stopped before it was complete', {}, error);
  }
  const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  const [said = ''] = stderr.toString().split('\n');
  const why = isMissing ? 'git is not installed' : said.replace(/^(fatal|error): /, '');
  const message = `can't tell what is staged: ${why === '' ? error.message : why}`;
  return new QsnapError('OPEN_FAILED', message, {}, error);
}

/** Nothing is written to the repository, not even to make git's next look faster. */
function quietly(env: GitPlace['env']): NodeJS.ProcessEnv {
  return { ...env, GIT_OPTIONAL_LOCKS: '0' };
}
