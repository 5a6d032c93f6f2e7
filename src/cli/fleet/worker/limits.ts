/** What one worker may ask of a store at most. */
export interface StoreLimit {
  /** Images at once. */
  readonly images: number;
  /** Of all of them together. */
  readonly bytesPerSecond: number | undefined;
}

/** Limits by store; what has none is limited by the worker's own number of images alone. */
export type StoreLimits = ReadonlyMap<string, StoreLimit>;

/** Which of a worker's jobs may begin. */
export class Places {
  readonly #limits: StoreLimits;
  readonly #running = new Map<string, number>();

  constructor(limits: StoreLimits) {
    this.#limits = limits;
  }

  isFull(store: string): boolean {
    const limit = this.#limits.get(store)?.images ?? Infinity;
    return (this.#running.get(store) ?? 0) >= limit;
  }

  /** Stores that may have no more now. */
  full(): readonly string[] {
    return [...this.#limits.keys()].filter((store) => this.isFull(store));
  }

  begin(store: string): void {
    this.#running.set(store, (this.#running.get(store) ?? 0) + 1);
  }

  end(store: string): void {
    this.#running.set(store, (this.#running.get(store) ?? 1) - 1);
  }

  /** The share of one image; undefined: no limit. */
  bytesPerSecond(store: string): number | undefined {
    const limit = this.#limits.get(store);
    if (limit?.bytesPerSecond === undefined) return undefined;
    return limit.bytesPerSecond / limit.images;
  }
}
