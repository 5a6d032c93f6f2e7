/** How many references a repair takes from clusters: by refcount block, then by cluster. */
export class ReleasedReferences {
  readonly #byBlock = new Map<number, Map<number, number>>();
  readonly #blockEntries: number;

  constructor(refcountBlockEntries: number) {
    this.#blockEntries = refcountBlockEntries;
  }

  add(cluster: number, references: number): void {
    const block = Math.floor(cluster / this.#blockEntries);
    const clusters = this.#byBlock.get(block) ?? new Map<number, number>();
    this.#byBlock.set(block, clusters.set(cluster, (clusters.get(cluster) ?? 0) + references));
  }

  in(block: number): ReadonlyMap<number, number> | undefined {
    return this.#byBlock.get(block);
  }

  /** All clusters from which references are taken. */
  *clusters(): Iterable<number> {
    for (const clusters of this.#byBlock.values()) yield* clusters.keys();
  }

  has(cluster: number): boolean {
    return this.in(Math.floor(cluster / this.#blockEntries))?.has(cluster) === true;
  }
}
