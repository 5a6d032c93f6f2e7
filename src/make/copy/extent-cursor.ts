import type { Extent, GuestDisk } from '../../read/guest/disk.js';

/**
 * Goes over the extents of a disk and, past its end, over zeros. Waits only where a batch ends, so
 * that millions of extents cost no promise each.
 */
export class ExtentCursor {
  readonly #batches: AsyncIterator<readonly Extent[]>;
  #batch: readonly Extent[] = [];
  #index = 0;

  constructor(disk: GuestDisk, diskBytes: number, end: number) {
    this.#batches = padded(disk, diskBytes, end)[Symbol.asyncIterator]();
  }

  /** The extent that comes next, if it has been read. */
  get extent(): Extent | undefined {
    return this.#batch[this.#index];
  }

  /** Goes on to the next extent. */
  step(): void {
    this.#index += 1;
  }

  /** Reads on, where `extent` is undefined; false at the end. */
  async refill(): Promise<boolean> {
    while (this.extent === undefined) {
      const next = await this.#batches.next();
      if (next.done === true) return false;
      this.#batch = next.value;
      this.#index = 0;
    }
    return true;
  }

  /** To be called in the end, whether all was read or not. */
  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}

async function* padded(
  disk: GuestDisk,
  diskBytes: number,
  end: number,
): AsyncGenerator<readonly Extent[]> {
  yield* disk.extents(0, diskBytes);
  if (end > diskBytes) {
    yield [{ start: diskBytes, length: end - diskBytes, kind: 'unallocated', depth: 0 }];
  }
}
