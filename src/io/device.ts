/**
 * Files, block devices, memory and URLs, all with one interface. Every operation comes in batches, because a batch is
 * what a disk queue, an HTTP client and a Blob can all do well. `test/contract` holds every implementation to this text.
 */

/** Fill `into` with the bytes at `at`. */
export interface ReadRequest {
  readonly at: number;
  readonly into: Uint8Array;
}

/** Put `bytes` at `at`. */
export interface WriteRequest {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** `length` bytes from `at`. */
export interface ByteRange {
  readonly at: number;
  readonly length: number;
}

/** A stretch of a file, and whether it is a hole: the medium has nothing for it, and it reads as zeros. */
export interface FileStretch {
  readonly at: number;
  readonly length: number;
  readonly isHole: boolean;
}

/** Something that bytes can be read from. */
export interface BlockSource {
  /** What people call it: a path, a URL, "memory". Only for messages. */
  readonly label: string;
  /**
   * Where the file of the host lies: an absolute path, as it was opened, which may lead over links.
   * Names in the file that are relative start from its folder. Not there where it is no file of the host.
   */
  readonly path?: string;
  /**
   * Resolves to a text that identifies the open file: the same for all of its names, and different for every other open
   * file. Not there: nothing tells.
   */
  identity?(): Promise<string>;
  /**
   * A text that is another one for each version of the file, as far as a server tells versions apart: its size and mark.
   * Not there: nothing tells without reading.
   */
  readonly version?: string | undefined;
  /** Size of the file in bytes, now. */
  sizeBytes(): Promise<number>;
  /**
   * Whether the file could become longer if it were written to: false for block devices. Not there: nobody knows, and
   * plans take it for true.
   */
  readonly growable?: boolean;
  /**
   * By how many bytes the host would let it grow, as far as it tells. It may turn out less while the
   * bytes are written. Resolves to undefined where nothing is known.
   */
  roomBytes?(): Promise<number | undefined>;
  /**
   * How much the host has free where the file lies: so much of its holes can be filled. Resolves to
   * undefined where nothing is known.
   */
  freeBytes?(): Promise<number | undefined>;
  /**
   * Bytes that the file takes on its medium. What counts is the file system's affair: 0 proves nothing. Not there:
   * nobody knows.
   */
  allocatedBytes?(): Promise<number>;
  /**
   * The stretches of the bytes `from` to `to` (at least one byte), ascending, without gaps, holes and data by turns. One
   * call may return only the first of them: ask again from the end of the last one. Written bytes are data, zeros too;
   * bytes past the end of the file are a hole. Resolves to undefined if the system can't tell; not there: the same.
   */
  stretchesFrom?(from: number, to: number): Promise<readonly FileStretch[] | undefined>;
  /**
   * Fills every `into`, in any order; neighbouring requests are merged into large reads. Bytes
   * past the end of the file read as zero. Never short: it fills everything or throws.
   *
   * @throws QsnapError READ_FAILED with the system's error as cause.
   */
  readBatch(requests: readonly ReadRequest[]): Promise<void>;
  /** Releases what the source holds. Nothing may be called afterwards. */
  close(): Promise<void>;
}

/** A source that can be written to as well. */
export interface BlockDevice extends BlockSource {
  /** Whether a write past the end makes the file longer. False for block devices. */
  readonly growable: boolean;
  /**
   * Whether the name that the file was opened by still leads to it. An edit of a file without its name would be lost.
   * Not there if there is no name.
   */
  isInPlace?(): Promise<boolean>;
  /**
   * Why others may have written since it was opened: it is closed, or its lock was given up. Undefined: neither.
   * Not there: nobody can tell.
   */
  lostHold?(): 'closed' | 'unlocked' | undefined;
  /**
   * Writes all requests, in any order; they do not overlap. Grows the file as needed. Nothing is
   * durable, and no order holds, until `flush` resolves.
   *
   * @throws QsnapError NO_SPACE when the medium is full, WRITE_FAILED otherwise; some of the
   *   requests, or parts of them, may have been written.
   */
  writeBatch(requests: readonly WriteRequest[]): Promise<void>;
  /**
   * A barrier: when it resolves, all earlier writes are on the medium, and no later write was sent
   * to it before. When it throws, nothing is known about any write since the last one.
   */
  flush(): Promise<void>;
  /** Makes the file this long: cuts it, or adds zeros. */
  truncate(sizeBytes: number): Promise<void>;
  /**
   * Gives ranges back to the host: they then read as zero and take no room. Resolves to the number
   * of bytes given back; 0 where the host can't.
   */
  punchBatch(ranges: readonly ByteRange[]): Promise<number>;
}
