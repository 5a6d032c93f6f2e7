import { throwIfAborted } from '../base/abort.js';
import { newIoBytes } from '../base/io-bytes.js';
import { MiB } from '../base/units.js';
import { QsnapError } from '../errors.js';
import type { OpenImage } from '../image/image.js';
import { refuseEdited } from '../image/refuse-edited.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import type { Extent, GuestDisk } from '../read/guest/disk.js';
import type { DiskExtentOptions, StreamOptions, WorkOptions } from './options.js';
import { boundsOf, refuseClosed, refuseNoCount } from './refuse.js';
import { EXTENTS, refuseWrong, STREAM, WORK } from './known-options.js';

/** What is read at a time between two looks at the signal. */
const PIECE_BYTES = 8 * MiB;
const CHUNK_BYTES = MiB;

/** What a disk is made of. */
export interface DiskParts {
  readonly guest: GuestDisk;
  readonly sizeBytes: number;
  readonly snapshot: Snapshot | undefined;
  readonly image: OpenImage;
  readonly onClose: (disk: QcowDisk) => void;
}

/**
 * A virtual disk as its guest sees it: the active disk of an image, or a snapshot's. It is true for the
 * image as it was opened: after an edit all of it is refused with IMAGE_CHANGED; open it again.
 *
 * ```ts
 * await using disk = await image.disk('golden');
 * console.log(disk.sizeBytes, await disk.read(0, 512));
 * ```
 */
export class QcowDisk implements AsyncDisposable {
  /** In bytes: of a snapshot's disk the size that it had then. */
  readonly sizeBytes: number;
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
  /** The disk as `copyDisk`, `compareDisks` and others that work on whole disks take it. */
  readonly guest: GuestDisk;
  readonly #parts: DiskParts;
  readonly #reads = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** Disks come from `QcowImage.disk`. */
  constructor(parts: DiskParts) {
    this.#parts = parts;
    this.guest = parts.guest;
    this.sizeBytes = parts.sizeBytes;
    this.snapshot = parts.snapshot;
  }

  /**
   * Reads guest bytes, unpacked and decrypted.
   *
   * ```ts
   * const boot = await disk.read(0, 512);
   * ```
   *
   * @param at guest offset in bytes.
   * @returns `length` bytes, fewer where the disk ends before.
   * @throws QsnapError RANGE_INVALID, CLOSED, IMAGE_CHANGED after an edit, ABORTED; BACKING_REFUSED and
   *   DATA_FILE_REFUSED for what lies in another file, ENCRYPTED, UNSUPPORTED_COMPRESSION,
   *   CLUSTER_DATA_INVALID, IMAGE_DAMAGED, IMAGE_TRUNCATED, READ_FAILED.
   */
  async read(at: number, length: number, options: WorkOptions = {}): Promise<Uint8Array> {
    refuseWrong(options, WORK);
    refuseNoCount('length', length);
    const { from, to } = boundsOf({ at, length }, this.sizeBytes);
    const bytes = roomFor(to - from);
    await this.#readInto(from, bytes, options.signal);
    return bytes;
  }

  /**
   * Guest bytes as a web stream, in order, zeros included; one chunk is read ahead. Node's `pipeline` takes
   * it as it is, and cancelling it ends the reads.
   *
   * ```ts
   * await pipeline(disk.stream(), createWriteStream('out.raw'));
   * await disk.stream({ at: 0, length: 512 }).pipeTo(writable);
   * ```
   *
   * The stream fails with what `read` throws.
   *
   * @throws QsnapError RANGE_INVALID, CLOSED.
   */
  stream(options: StreamOptions = {}): ReadableStream<Uint8Array> {
    refuseWrong(options, STREAM);
    const { signal, onProgress, chunkBytes = CHUNK_BYTES } = options;
    const { from, to } = boundsOf(options, this.sizeBytes);
    refuseNoCount('chunkBytes', chunkBytes, 1);
    this.#refuseClosed();
    let at = from;
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        throwIfAborted(signal, 'the stream');
        if (at < to) {
          const chunk = newIoBytes(Math.min(chunkBytes, to - at));
          await this.#readInto(at, chunk, signal);
          at += chunk.length;
          controller.enqueue(chunk);
          onProgress?.({ phase: 'reading', done: at - from, total: to - from });
        }
        if (at >= to) controller.close();
      },
    });
  }

  /**
   * How the disk is kept: its extents, ascending and without gaps, one after the other.
   *
   * ```ts
   * for await (const { start, length, kind } of disk.extents()) console.log(start, length, kind);
   * ```
   *
   * @throws QsnapError RANGE_INVALID, CLOSED, IMAGE_CHANGED after an edit, ABORTED, IMAGE_DAMAGED,
   *   IMAGE_TRUNCATED, READ_FAILED: as it is iterated, after all extents before the damage.
   */
  async *extents(options: DiskExtentOptions = {}): AsyncGenerator<Extent, void, undefined> {
    refuseWrong(options, EXTENTS);
    const { signal, layers } = options;
    const { from, to } = boundsOf(options, this.sizeBytes);
    this.#refuseClosed();
    const told = this.guest.extents(from, to, layers === undefined ? {} : { layers });
    const batches = told[Symbol.asyncIterator]();
    try {
      for (;;) {
        throwIfAborted(signal, 'the walk over the extents');
        const next = await this.#reading(() => batches.next());
        if (next.done === true) return;
        yield* next.value;
      }
    } finally {
      await batches.return?.();
    }
  }

  /** Waits for reads that are under way, and closes the files that were opened for this disk. */
  close(): Promise<void> {
    this.#closing ??= this.#closeNow();
    return this.#closing;
  }

  /** `await using disk = …` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #closeNow(): Promise<void> {
    await Promise.allSettled(this.#reads);
    await this.guest.close();
    this.#parts.onClose(this);
  }

  async #readInto(at: number, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    await this.#reading(async () => {
      for (let done = 0; done < bytes.length; done += PIECE_BYTES) {
        throwIfAborted(signal, 'the read');
        const into = bytes.subarray(done, done + PIECE_BYTES);
        await this.guest.readBatch([{ at: at + done, into }]);
      }
      throwIfAborted(signal, 'the read');
    });
  }

  #refuseClosed(): void {
    refuseClosed(this.#closing !== undefined, 'disk', this.guest.label);
  }

  /** Whatever was read while an edit began may be another disk's by now, and is not handed out. */
  async #reading<T>(read: () => Promise<T>): Promise<T> {
    this.#refuseClosed();
    refuseEdited(this.#parts.image);
    const running = read();
    this.#reads.add(running);
    try {
      const done = await running;
      refuseEdited(this.#parts.image);
      return done;
    } finally {
      this.#reads.delete(running);
    }
  }
}

/** All of its buffer, unlike `newIoBytes`: programs do look at `bytes.buffer`. */
function roomFor(bytes: number): Uint8Array {
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new QsnapError(
      'RANGE_INVALID',
      `there is no memory for ${bytes} bytes at once`,
      { actual: String(bytes), hint: 'read in parts, or take the stream' },
      error,
    );
  }
}
