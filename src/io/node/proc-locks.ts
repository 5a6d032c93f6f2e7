/** Other people's file locks, as Linux lists them under /proc. */
import { readFile, readdir } from 'node:fs/promises';

/** A lock on bytes of a file. */
export interface ListedLock {
  /** The file as the kernel writes it: device in hex and inode, such as "fe:00:1234". */
  readonly file: string;
  readonly first: number;
  /** Last byte of the range; Infinity for "to the end". */
  readonly last: number;
}

/** One byte or several, first and last included. */
export type Bytes = readonly [first: number, last: number];

/**
 * The locks that are held, in the form of /proc/locks and of fdinfo, such as
 * `1: OFDLCK ADVISORY READ -1 fe:00:1234 100 100`. Waiting ones (`1: -> …`) are left out.
 */
export function parseLocks(text: string): ListedLock[] {
  const locks: ListedLock[] = [];
  const line =
    /^(?:lock:)?\s*\d+: \w+\s+\w+\s+\w+\s+-?\d+ ([\da-f]+:[\da-f]+:\d+) (\d+) (\d+|EOF)$/gm;
  for (const [, file, first, last] of text.matchAll(line)) {
    const end = last === 'EOF' ? Infinity : Number(last);
    locks.push({ file: file!, first: Number(first), last: end });
  }
  return locks;
}

export function touches(lock: ListedLock, ranges: readonly Bytes[]): boolean {
  return ranges.some(([first, last]) => lock.first <= last && lock.last >= first);
}

/** All locks of the system, or undefined where it doesn't list them. */
export async function systemLocks(): Promise<ListedLock[] | undefined> {
  const text = await textOf('/proc/locks');
  return text === undefined ? undefined : parseLocks(text);
}

/** The locks that this process holds through one open file. */
export async function ownLocks(fd: number): Promise<ListedLock[]> {
  return parseLocks((await textOf(`/proc/self/fdinfo/${fd}`)) ?? '');
}

/** Whether a mounted file system has this device number. */
export async function isMounted(major: number, minor: number): Promise<boolean> {
  const mounts = (await textOf('/proc/self/mountinfo')) ?? '';
  return mounts.split('\n').some((line) => line.split(' ')[2] === `${major}:${minor}`);
}

export interface Holder {
  readonly pid: number;
  /** Name of the program, as the system cuts it. */
  readonly program: string;
}

/**
 * The processes that hold locks on these bytes of a file through another open file than our `fd`.
 * Only those that /proc shows to this user.
 */
export async function holdersOf(
  isFile: (lock: ListedLock) => boolean,
  ranges: readonly Bytes[],
  fd: number,
): Promise<Holder[]> {
  const pids = (await namesIn('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const holders: Holder[] = [];
  for (const pid of pids) {
    const fds = await namesIn(`/proc/${pid}/fdinfo`);
    const others = fds.filter((name) => pid !== process.pid || name !== String(fd));
    const texts = await Promise.all(others.map((name) => textOf(`/proc/${pid}/fdinfo/${name}`)));
    const locks = texts.flatMap((text) => parseLocks(text ?? ''));
    if (!locks.some((lock) => isFile(lock) && touches(lock, ranges))) continue;
    const program = ((await textOf(`/proc/${pid}/comm`)) ?? '').trimEnd();
    holders.push({ pid, program });
  }
  return holders;
}

/** Processes end while we look: what is gone has no text. */
async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return undefined;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch {
    return [];
  }
}
