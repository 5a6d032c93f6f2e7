import { MiB } from '../base/units.js';
import type { BlockDevice } from './device.js';

/** So much is written before the medium is given work: what is small has its last flush and no more. */
const FIRST_BYTES = 4 * MiB;

/** Each flush is given twice as much as the one before, up to this: every one has its price. */
const MOST_BYTES = 32 * MiB;

/**
 * Flushes that run while much is still being written, so that the medium works while tables are made
 * and guest data is read. No order comes of them: the flush behind the last write brings it, as ever.
 */
export class EarlyFlushes {
  readonly #device: Pick<BlockDevice, 'flush'>;
  #running: Promise<void> | undefined;
  #unflushedBytes = 0;
  #enoughBytes = FIRST_BYTES;

  constructor(device: Pick<BlockDevice, 'flush'>) {
    this.#device = device;
  }

  /** To be told of every write that is over; begins a flush when there is enough for one. */
  afterWriting(bytes: number): void {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < this.#enoughBytes || this.#running !== undefined) return;
    this.#unflushedBytes = 0;
    this.#enoughBytes = Math.min(this.#enoughBytes * 2, MOST_BYTES);
    this.#running = this.#device.flush().then(() => {
      this.#running = undefined;
    });
    // `done` takes the error. Once a flush failed none begins any more.
    this.#running.catch(() => undefined);
  }

  /**
   * Waits for a flush that is under way.
   *
   * @throws QsnapError what a flush threw, now or before.
   */
  async done(): Promise<void> {
    await this.#running;
  }
}
