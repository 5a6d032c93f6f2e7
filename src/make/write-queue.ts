import type { BlockDevice, WriteRequest } from '../io/device.js';

/** Batches that one call may have in flight. */
const IN_FLIGHT = 2;

/**
 * Lets writes run while the next ones are prepared: a call's batches are made when those of the
 * call before have been sent, in order. The first failure is the answer to everything afterwards.
 */
export class WriteQueue {
  readonly #write: (requests: WriteRequest[]) => Promise<void>;
  /** Resolves when the last call so far has sent its batches. Never rejects. */
  #lastTurn: Promise<void> = Promise.resolve();
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(device: Pick<BlockDevice, 'writeBatch'>) {
    this.#write = (requests) => device.writeBatch(requests);
  }

  /**
   * Makes and writes all batches.
   *
   * @throws the first failure, whoever met it.
   */
  async inTurn(batches: Iterable<WriteRequest[]>): Promise<void> {
    const mine: Promise<void>[] = [];
    const turn = this.#lastTurn.then(() => this.#send(batches, mine));
    this.#lastTurn = turn.catch((error: unknown) => {
      this.#fail(error);
    });
    await turn;
    await Promise.all(mine);
  }

  /**
   * Waits for everything that was given.
   *
   * @throws the first failure.
   */
  async drain(): Promise<void> {
    await this.#lastTurn;
    await Promise.allSettled([...this.#running]);
    this.#refuseAfterFailure();
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
    const running = this.#write(requests).finally(() => this.#running.delete(running));
    this.#running.add(running);
    running.catch((error: unknown) => {
      this.#fail(error);
    });
    return running;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }

  #refuseAfterFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
