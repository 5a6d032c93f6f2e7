/**
 * QEMU's image locks. Byte 100 + n of the file stands for "I use permission n", byte 200 + n for "I
 * don't share permission n"; n is 0 for consistent reads, 1 for writes, 2 for writes of the same
 * content, 3 for resizes. Who opens an image takes shared locks on its bytes and refuses if
 * somebody holds a byte that contradicts. The locks belong to the open file: they end when it is
 * closed, also by the death of the process.
 * QEMU: block/file-posix.c, raw_apply_lock_bytes and raw_check_lock_bytes. Measured with 7.2:
 * readers take 100, 201 and 203, writers 101 and 103 too.
 */
import { printableText } from '../../base/text.js';
import { QsnapError } from '../../errors.js';
import { statOf } from './identity.js';
import { nativeFiles } from './native.js';
import type { NativeFiles } from './native.js';
import { deviceParts } from './block-size.js';
import { holdersOf, isMounted, ownLocks, systemLocks, touches } from './proc-locks.js';
import type { Bytes, Holder, ListedLock } from './proc-locks.js';
import { systemCodeOf, writeFailed } from './system-error.js';

/**
 * How sure it is that nobody else works on the image. `locked`: QEMU's tools and qsnap refuse it
 * while we have it. `looked`: nobody had it when we looked, but nothing keeps others from opening
 * it. `none`: this system tells nothing.
 */
export type LockGuarantee = 'locked' | 'looked' | 'none';

export interface FileLock {
  readonly guarantee: LockGuarantee;
  /** Lets others in before the file is closed. Closing it does the same. */
  release(): void;
}

/** The add-on to lock with; undefined stands for a system without it. */
export interface LockTools {
  readonly native: NativeFiles | undefined;
}

/** On Windows a lock would keep ourselves from the bytes too, and QEMU there takes none. */
async function systemTools(): Promise<LockTools> {
  return { native: process.platform === 'win32' ? undefined : await nativeFiles() };
}

const ALL_USED: Bytes = [100, 104];
const ALL_UNSHARED: Bytes = [200, 204];

/**
 * What an edit contradicts: everything. It uses all permissions and shares none, so it refuses
 * also while somebody reads who shares all (`-U`), where QEMU would write.
 */
const AGAINST_EDIT: readonly Bytes[] = [ALL_USED, ALL_UNSHARED];

/** What a reader takes: it reads, and shares neither writes nor resizes. */
const READER: readonly Bytes[] = [
  [100, 100],
  [201, 201],
  [203, 203],
];

/** What contradicts a reader: who writes, who resizes, who doesn't share reads. */
const AGAINST_READER: readonly Bytes[] = [
  [101, 101],
  [103, 103],
  [200, 200],
];

/** How file systems and devices without locks say so. */
const NO_LOCKS: ReadonlySet<string> = new Set([
  'EINVAL',
  'ENOLCK',
  'ENOSYS',
  'EOPNOTSUPP',
  'ENOTSUP',
]);

/**
 * Locks an image for an edit, as a writer that shares nothing. `fd` is open for writing.
 *
 * Takes exclusive locks first, since these fail if anybody holds a lock. Then turns them into shared ones, as QEMU's
 * own are, so that QEMU's error messages are the usual ones.
 *
 * @throws QsnapError IMAGE_IN_USE.
 */
export async function lockForEdit(fd: number, label: string, tools?: LockTools): Promise<FileLock> {
  const { native } = tools ?? (await systemTools());
  if (native === undefined) return look(fd, label, AGAINST_EDIT);
  const taken = tryLockAll(native, fd, label, AGAINST_EDIT, false);
  if (taken === 'unsupported') return NO_LOCK;
  if (!taken) throw await inUse(fd, label, AGAINST_EDIT);
  try {
    for (const [first, last] of AGAINST_EDIT) native.tryDowngradeLock(fd, first, last - first + 1);
  } catch (error) {
    unlock(native, fd, AGAINST_EDIT);
    throw lockFailed(label, error);
  }
  return heldLock(native, fd, AGAINST_EDIT);
}

/**
 * Locks an image as QEMU's readers do: other readers may come, writers may not.
 *
 * @throws QsnapError IMAGE_IN_USE when somebody writes.
 */
export async function lockForRead(fd: number, label: string, tools?: LockTools): Promise<FileLock> {
  const { native } = tools ?? (await systemTools());
  if (native === undefined) return look(fd, label, AGAINST_READER);
  const taken = tryLockAll(native, fd, label, READER, true);
  if (taken === 'unsupported') return NO_LOCK;
  // Somebody has an exclusive lock: an edit that is just beginning.
  if (!taken) throw await inUse(fd, label, AGAINST_EDIT);
  try {
    const { guarantee } = await look(fd, label, AGAINST_READER);
    // Our locks keep writers out from now on; who came before us must be seen in the list.
    return heldLock(native, fd, READER, guarantee === 'none' ? 'none' : 'locked');
  } catch (error) {
    unlock(native, fd, READER);
    throw error;
  }
}

/** For those who were told to read whatever others do. */
export const NO_LOCK: FileLock = { guarantee: 'none', release: () => undefined };

function heldLock(
  native: NativeFiles,
  fd: number,
  ranges: readonly Bytes[],
  guarantee: LockGuarantee = 'locked',
): FileLock {
  let held = true;
  const release = () => {
    if (held) unlock(native, fd, ranges);
    held = false;
  };
  return { guarantee, release };
}

/** Locks all of the ranges, or none. */
function tryLockAll(
  native: NativeFiles,
  fd: number,
  label: string,
  ranges: readonly Bytes[],
  shared: boolean,
): boolean | 'unsupported' {
  const held: Bytes[] = [];
  try {
    for (const range of ranges) {
      const taken = tryLock(native, fd, label, range, shared);
      if (taken !== true) return taken;
      held.push(range);
    }
    return true;
  } finally {
    if (held.length < ranges.length) unlock(native, fd, held);
  }
}

function tryLock(
  native: NativeFiles,
  fd: number,
  label: string,
  [first, last]: Bytes,
  shared: boolean,
): boolean | 'unsupported' {
  try {
    return native.tryLock(fd, first, last - first + 1, { shared });
  } catch (error) {
    const code = systemCodeOf(error) ?? '';
    if (NO_LOCKS.has(code)) return 'unsupported';
    // POSIX lets a system say this for "somebody else has it".
    if (code === 'EACCES') return false;
    throw lockFailed(label, error);
  }
}

function lockFailed(label: string, error: unknown): QsnapError {
  return writeFailed(label, `lock ${printableText(label)}`, error);
}

/** Where a lock can't be ended, closing the file ends it. */
function unlock(native: NativeFiles, fd: number, ranges: readonly Bytes[]): void {
  for (const [first, last] of ranges) {
    try {
      native.unlock(fd, first, last - first + 1);
    } catch {
      // The others are still to be ended.
    }
  }
}

/** Refuses when the system lists a lock of somebody else on any of these bytes. */
async function look(fd: number, label: string, against: readonly Bytes[]): Promise<FileLock> {
  const locks = systemLocks();
  if (locks === undefined) return NO_LOCK;
  const isFile = await matcherFor(fd);
  if (locks.some((lock) => isFile(lock) && touches(lock, against))) {
    throw await inUse(fd, label, against);
  }
  return { guarantee: 'looked', release: () => undefined };
}

/**
 * Tells which listed locks are on our file. The kernel's name for it stands beside our own locks;
 * without any, device and inode number tell. Some file systems (btrfs, overlays) show programs
 * another device number than the kernel uses: one that no mount has. There the inode number alone
 * has to do.
 */
async function matcherFor(fd: number): Promise<(lock: ListedLock) => boolean> {
  const own = ownLocks(fd)[0];
  if (own !== undefined) return (lock) => lock.file === own.file;
  const { dev, ino } = await statOf(fd);
  const { major, minor } = deviceParts(Number(dev));
  if (!(await isMounted(major, minor))) return (lock) => lock.file.endsWith(`:${ino}`);
  const name = `${hexPair(major)}:${hexPair(minor)}:${ino}`;
  return (lock) => lock.file === name;
}

function hexPair(value: number): string {
  return value.toString(16).padStart(2, '0');
}

async function inUse(fd: number, label: string, against: readonly Bytes[]): Promise<QsnapError> {
  const holders = await holdersOf(await matcherFor(fd), against, fd);
  const names = holders.map(nameOf).join(', ');
  const who = names === '' ? 'another program' : names;
  return new QsnapError('IMAGE_IN_USE', `${printableText(label)} is in use by ${who}`, {
    file: label,
    ...(names === '' ? {} : { holder: names }),
    hint: holders.some(({ pid }) => pid === process.pid)
      ? 'close the image where this program has it open'
      : 'shut down the virtual machine or end the program that uses the image',
  });
}

function nameOf({ pid, program }: Holder): string {
  if (pid === process.pid) return 'this process itself';
  // Of a process that is about to end the system may no longer know the name.
  const name = program === '' ? 'another program' : printableText(program);
  return `${name} (pid ${pid})`;
}
