/** Where an open file has data and holes, asked of the system. */
import { createRequire } from 'node:module';
import type { FileStretch } from '../../io/device.js';

/** What is looked for in a file. */
export type Sought = 'data' | 'hole';

/**
 * Where the first data or the first hole from `at` on begins, which may be `at` itself. The end of the
 * file begins a hole. Infinity where there is none any more; undefined where nobody can tell.
 */
export type Seek = (what: Sought, at: number) => number | undefined;

/**
 * Stretches that are told at a time. All else of this process waits for them: less than a millisecond,
 * or some tenths of a second where the file system is behind a network.
 */
const STRETCHES_MAX = 256;

/**
 * The stretches of the bytes `from` to `to`, of which there is at least one: as many as are told at a time.
 *
 * @returns undefined where nobody can tell what lies at `from`.
 */
export function stretchesBySeeking(
  seek: Seek,
  from: number,
  to: number,
): readonly FileStretch[] | undefined {
  const stretches: FileStretch[] = [];
  let at = from;
  const add = (isHole: boolean, end: number): void => {
    if (end > at) stretches.push({ at, length: end - at, isHole });
    at = end;
  };
  while (at < to && stretches.length < STRETCHES_MAX) {
    const data = seek('data', at);
    if (data === undefined || data < at) break;
    add(true, Math.min(to, data));
    if (at === to) break;
    const hole = seek('hole', at);
    // Somebody else can have made a hole of the data meanwhile.
    if (hole === undefined || hole <= at) break;
    add(false, Math.min(to, hole));
  }
  return stretches.length === 0 ? undefined : stretches;
}

type SeekInFile = (fd: number, ...sought: Parameters<Seek>) => ReturnType<Seek>;

let seekInFile: SeekInFile | undefined;

/** `Seek` in a file of this process by its descriptor. The first call loads what it takes. */
export const seekIn: SeekInFile = (fd, what, at) => {
  seekInFile ??= loadSeek() ?? (() => undefined);
  return seekInFile(fd, what, at);
};

/** Linux: include/uapi/linux/fs.h and asm-generic/errno-base.h. */
const WHENCE: Readonly<Record<Sought, number>> = { data: 3, hole: 4 };
const ENXIO = 6;

/**
 * `lseek` of the system, which Node has not: the package koffi, an optional dependency, calls it. Where
 * offsets have 32 bits, and on systems on which this was never tried, nobody can tell.
 *
 * The call moves the place where the file stands, which is nothing to us: all reads and writes here name
 * their places.
 */
function loadSeek(): SeekInFile | undefined {
  const isLinux64 = process.platform === 'linux' && !['arm', 'ia32'].includes(process.arch);
  if (!isLinux64) return undefined;
  try {
    const koffi = loadKoffi();
    const lseek = koffi.load(null).func('int64_t lseek(int fd, int64_t offset, int whence)');
    return (fd, what, at) => {
      // Tables may point anywhere below 2^62; no file is that long.
      if (at > Number.MAX_SAFE_INTEGER) return Infinity;
      const found = Number(lseek(fd, at, WHENCE[what]));
      if (found >= 0) return found;
      return koffi.errno() === ENXIO ? Infinity : undefined;
    };
  } catch {
    return undefined;
  }
}

type Koffi = Pick<typeof import('koffi'), 'load' | 'errno'>;

/**
 * Loads koffi's binary itself, if it lies where it is expected. Koffi's own loader reads Node's program to find out
 * which C library there is, and takes twice as long as everything else here.
 */
function loadKoffi(): Koffi {
  const require = createRequire(import.meta.url);
  try {
    const ofKoffi = createRequire(require.resolve('koffi'));
    const { arch } = process;
    const binary = ofKoffi(`@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`) as Koffi;
    if (typeof binary.load === 'function' && typeof binary.errno === 'function') return binary;
  } catch {
    // It lies elsewhere, or is for another library of C.
  }
  return require('koffi') as Koffi;
}
