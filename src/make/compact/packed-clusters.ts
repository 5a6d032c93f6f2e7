import { indexOfOffset } from '../../refs/pointers.js';

/** What L2 entries say of compressed clusters, in any order: 16 bytes for each entry. */
export class PackedEntries {
  #at = new Float64Array(16);
  #bytes = new Uint32Array(16);
  #references = new Uint32Array(16);
  length = 0;

  /**
   * @param at host offset of its first byte.
   * @param bytes from there to the end of the last sector that it may touch.
   * @param references how many L1 entries lead to it.
   */
  add(at: number, bytes: number, references: number): void {
    if (this.length === this.#at.length) this.#grow();
    this.#at[this.length] = at;
    this.#bytes[this.length] = bytes;
    this.#references[this.length] = references;
    this.length += 1;
  }

  /** Each place once, ascending. */
  places(): Float64Array {
    const sorted = this.#at.slice(0, this.length).sort();
    let used = 0;
    for (const at of sorted) if (used === 0 || sorted[used - 1] !== at) sorted[used++] = at;
    return sorted.slice(0, used);
  }

  forEach(visit: (at: number, bytes: number, references: number) => void): void {
    for (let i = 0; i < this.length; i++) {
      visit(this.#at[i]!, this.#bytes[i]!, this.#references[i]!);
    }
  }

  #grow(): void {
    const length = this.#at.length * 2;
    const [at, bytes, references] = [this.#at, this.#bytes, this.#references];
    this.#at = new Float64Array(length);
    this.#bytes = new Uint32Array(length);
    this.#references = new Uint32Array(length);
    this.#at.set(at);
    this.#bytes.set(bytes);
    this.#references.set(references);
  }
}

/** The compressed clusters that some disks refer to, ascending, each once. */
export class PackedClusters {
  /** Host offsets. */
  readonly at: Float64Array;
  /** Bytes that may belong to each: up to the next one, or to the end of the last sector. */
  readonly bytes: Uint32Array;
  readonly references: Uint32Array;

  /**
   * @param most bytes that a compressed cluster may have.
   */
  constructor(entries: PackedEntries, most: number) {
    this.at = entries.places();
    this.bytes = new Uint32Array(this.at.length);
    this.references = new Uint32Array(this.at.length);
    entries.forEach((at, bytes, references) => {
      const index = this.indexOf(at);
      const next = this.at[index + 1] ?? Infinity;
      this.references[index]! += references;
      this.bytes[index] = Math.max(this.bytes[index]!, Math.min(bytes, next - at, most));
    });
  }

  get length(): number {
    return this.at.length;
  }

  /** Index of the compressed cluster at a host offset. It must be there. */
  indexOf(at: number): number {
    return indexOfOffset(this.at, at);
  }
}
