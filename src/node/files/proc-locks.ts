/** Other people's file locks, as Linux lists them under /proc. */
import { promises, readFileSync } from 'node:fs';
import path from 'node:path';

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
export function systemLocks(): ListedLock[] | undefined {
  const text = textAtOnce('/proc/locks');
  return text === undefined ? undefined : parseLocks(text);
}

/** The locks that this process holds through one open file. */
export function ownLocks(fd: number): ListedLock[] {
  return parseLocks(textAtOnce(`/proc/self/fdinfo/${fd}`) ?? '');
}

/** Whether a mounted file system has this device number. */
export async function isMounted(major: number, minor: number): Promise<boolean> {
  const mounts = (await textOf('/proc/self/mountinfo')) ?? '';
  return mounts.split('\n').some((line) => line.split(' ')[2] === `${major}:${minor}`);
}

export interface Holder {
  readonly pid: number;
  /** Name of the program; of qsnap its own, not that of Node. */
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
    const comm = ((await textOf(`/proc/${pid}/comm`)) ?? '').trimEnd();
    const argv = ((await textOf(`/proc/${pid}/cmdline`)) ?? '').split('\0');
    holders.push({ pid, program: programName(comm, argv) });
  }
  return holders;
}

/**
 * What people call a program. The system keeps 15 bytes of the name ("qemu-storage-da"); the
 * command line, which a program may change, has the rest where it begins with them.
 */
export function programName(comm: string, argv: readonly string[]): string {
  const [program = '', script = ''] = argv.map((word) => path.basename(word));
  const [, ours] = /^(qsnap(?:-img)?)(?:\.js)?$/.exec(script) ?? [];
  if (ours !== undefined && /^node(js)?$/.test(program)) return ours;
  return comm !== '' && program.startsWith(comm) ? program : comm;
}

/**
 * The system writes these from memory, and but for the first look at all locks that takes less time than
 * the way to the thread pool and back.
 */
function textAtOnce(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Processes end while we look: what is gone has no text. */
async function textOf(file: string): Promise<string | undefined> {
  try {
    return await promises.readFile(file, 'utf8');
  } catch {
    return undefined;
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await promises.readdir(directory);
  } catch {
    return [];
  }
}
