import type { BlockDevice, WriteRequest } from '../../io/device.js';
import { EarlyFlushes } from '../../io/early-flushes.js';
import { settled } from '../../io/settled.js';

/** Batches that one call may have in flight. */
const IN_FLIGHT = 2;

/**
 * Lets writes run while the next ones are prepared: a call's batches are made when those of the
 * call before have been sent, in order. What is much is flushed meanwhile. The first failure is the
 * answer to everything afterwards.
 */
export class WriteQueue {
  readonly #device: Pick<BlockDevice, 'writeBatch' | 'flush'>;
  readonly #early: EarlyFlushes;
  /** Resolves when the last call so far has sent its batches. Never rejects. */
  #lastTurn: Promise<void> = Promise.resolve();
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(device: Pick<BlockDevice, 'writeBatch' | 'flush'>) {
    this.#device = device;
    this.#early = new EarlyFlushes(device);
  }

  /**
   * Makes and writes all batches.
   *
   * @throws the first failure, whoever met it; nothing is being written then.
   */
  async inTurn(batches: Iterable<WriteRequest[]>): Promise<void> {
    const mine: Promise<void>[] = [];
    const turn = this.#lastTurn.then(() => this.#send(batches, mine));
    this.#lastTurn = turn.catch((error: unknown) => {
      this.#fail(error);
    });
    try {
      await turn;
      await settled(mine);
    } catch (error) {
      // Once there is a failure, none begins any more.
      await this.#over();
      throw error;
    }
  }

  /**
   * Waits for everything that was given.
   *
   * @throws the first failure.
   */
  async drain(): Promise<void> {
    await this.#lastTurn;
    await this.#over();
    this.#refuseAfterFailure();
    await this.#early.done();
  }

  async #send(batches: Iterable<WriteRequest[]>, mine: Promise<void>[]): Promise<void> {
    this.#refuseAfterFailure();
    for (const requests of batches) {
      if (mine.length >= IN_FLIGHT) await mine.shift();
      this.#refuseAfterFailure();
      mine.push(this.#started(requests));
    }
  }

  #started(requests: WriteRequest[]): Promise<void> {
    const running = this.#written(requests).finally(() => this.#running.delete(running));
    this.#running.add(running);
    running.catch((error: unknown) => {
      this.#fail(error);
    });
    return running;
  }

  async #written(requests: WriteRequest[]): Promise<void> {
    try {
      await this.#device.writeBatch(requests);
    } catch (error) {
      // After a flush that failed writes are refused: the flush is what went wrong.
      await this.#early.done();
      throw error;
    }
    this.#early.afterWriting(requests.reduce((sum, { bytes }) => sum + bytes.length, 0));
  }

  /** Resolves when nothing is being written, however it ended. */
  async #over(): Promise<void> {
    await Promise.allSettled([...this.#running]);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  #refuseAfterFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
