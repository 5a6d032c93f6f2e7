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

let loading: Promise<NativeFiles | undefined> | undefined;

/** The add-on, or undefined where it isn't installed or has no binary for this platform. */
export function nativeFiles(): Promise<NativeFiles | undefined> {
  loading ??= load();
  return loading;
}

async function load(): Promise<NativeFiles | undefined> {
  try {
    // @ts-expect-error: the package brings no types.
    const module = (await import('fs-native-extensions')) as { default: NativeFiles };
    return module.default;
  } catch {
    return undefined;
  }
}
