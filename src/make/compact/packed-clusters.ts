import { indexOfOffset } from '../../refs/pointers.js';

/** What L2 entries say of a compressed cluster. */
export interface PackedEntry {
  /** Host offset of its first byte. */
  readonly at: number;
  /** Bytes from there to the end of the last sector that it may touch. */
  readonly bytes: number;
  /** How many L1 entries lead to it. */
  readonly references: number;
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
  constructor(entries: readonly PackedEntry[], most: number) {
    const sorted = [...entries].sort((a, b) => a.at - b.at);
    const firsts = sorted.flatMap(({ at }, i) => (sorted[i - 1]?.at === at ? [] : [i]));
    this.at = Float64Array.from(firsts, (i) => sorted[i]!.at);
    this.bytes = new Uint32Array(firsts.length);
    this.references = new Uint32Array(firsts.length);
    for (const [index, first] of firsts.entries()) {
      const end = firsts[index + 1] ?? sorted.length;
      const next = this.at[index + 1] ?? Infinity;
      for (let i = first; i < end; i++) {
        const { at, bytes, references } = sorted[i]!;
        this.references[index]! += references;
        const own = Math.min(bytes, next - at, most);
        this.bytes[index] = Math.max(this.bytes[index]!, own);
      }
    }
  }

  get length(): number {
    return this.at.length;
  }

  /** Index of the compressed cluster at a host offset. It must be there. */
  indexOf(at: number): number {
    return indexOfOffset(this.at, at);
  }
}
