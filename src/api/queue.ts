/** Work that is done one piece after the other, in the order in which it was asked for. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /** Begins once all that was asked for before has ended, well or not; resolves to what `work` does. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    // Its failure is for who asked for it, and not for who comes next.
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** Resolves once all that was asked for so far has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
