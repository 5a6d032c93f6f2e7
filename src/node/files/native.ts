import { createRequire } from 'node:module';
import { systemCodeOf } from './system-error.js';

/**
 * The add-on fs-native-extensions: byte-range locks and holes, which Node itself has not. It is an
 * optional dependency, loaded when it is first needed.
 */
export interface NativeFiles {
  /** Takes an OFD lock on a byte range. False when somebody else's lock is in the way. */
  tryLock(fd: number, at: number, length: number, options: { readonly shared: boolean }): boolean;
  /** Makes an exclusive lock a shared one. */
  tryDowngradeLock(fd: number, at: number, length: number): boolean;
  unlock(fd: number, at: number, length: number): void;
  /** Punches a hole; the file keeps its length. */
  trim(fd: number, at: number, length: number): Promise<void>;
}

/** What the add-on's binary exports, of which its JavaScript is made. */
export interface NativeBinding {
  /** Throws EAGAIN when somebody else's lock is in the way. */
  tryLock(fd: number, at: number, length: number, exclusive: boolean): void;
  tryDowngradeLock(fd: number, at: number, length: number): void;
  unlock(fd: number, at: number, length: number): void;
  /** Calls `done` with `request` as `this`; what it returns has to live as long. */
  trim(fd: number, at: number, length: number, request: TrimRequest, done: TrimDone): unknown;
}

interface TrimRequest {
  handle: unknown;
  readonly settle: (error: Error | null) => void;
}

type TrimDone = (this: TrimRequest, error: Error | null) => void;

let loading: Promise<NativeFiles | undefined> | undefined;

/** The add-on, or undefined where it isn't installed or has no binary for this platform. */
export function nativeFiles(): Promise<NativeFiles | undefined> {
  loading ??= load();
  return loading;
}

/**
 * Its own loader looks for the binary in a dozen places, which takes several times as long as all
 * else that a small image asks for. So the place where it lies is tried first.
 */
async function load(): Promise<NativeFiles | undefined> {
  const binding = prebuiltBinding();
  if (binding !== undefined) return overBinding(binding);
  try {
    // @ts-expect-error: the package brings no types.
    const module = (await import('fs-native-extensions')) as { default: NativeFiles };
    return module.default;
  } catch {
    return undefined;
  }
}

/** The binary for this platform, if it lies where the version that we ask for has it. */
export function prebuiltBinding(): NativeBinding | undefined {
  const host = `${process.platform}-${process.arch}`;
  const file = `fs-native-extensions/prebuilds/${host}/fs-native-extensions.node`;
  try {
    const binding = createRequire(import.meta.url)(file) as NativeBinding;
    const calls = ['tryLock', 'tryDowngradeLock', 'unlock', 'trim'] as const;
    return calls.every((name) => typeof binding[name] === 'function') ? binding : undefined;
  } catch {
    return undefined;
  }
}

/** The calls as the add-on's own JavaScript offers them. */
export function overBinding(binding: NativeBinding): NativeFiles {
  return {
    tryLock: (fd, at, length, { shared }) =>
      isTaken(() => {
        binding.tryLock(fd, at, length, !shared);
      }),
    tryDowngradeLock: (fd, at, length) =>
      isTaken(() => {
        binding.tryDowngradeLock(fd, at, length);
      }),
    unlock: (fd, at, length) => {
      binding.unlock(fd, at, length);
    },
    trim: (fd, at, length) =>
      new Promise((resolve, reject) => {
        const settle = (error: Error | null): void => {
          if (error === null) resolve();
          else reject(error);
        };
        const request: TrimRequest = { handle: undefined, settle };
        request.handle = binding.trim(fd, at, length, request, trimDone);
      }),
  };
}

function trimDone(this: TrimRequest, error: Error | null): void {
  this.settle(error);
}

/** Whether a lock was taken: false when somebody else's is in the way. */
function isTaken(take: () => void): boolean {
  try {
    take();
    return true;
  } catch (error) {
    if (systemCodeOf(error) === 'EAGAIN') return false;
    throw error;
  }
}
