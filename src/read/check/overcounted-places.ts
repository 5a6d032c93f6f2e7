import type { OpenImage } from '../../image/image.js';
import { COMPRESSED, offsetOf, packedClusters } from '../../l1l2/entry.js';
import { visitL1Tables } from '../../refs/l1-tables.js';
import { SECTOR_WORDS } from './emptied-sectors.js';
import type { Excess } from './excess.js';

/** Bytes of what is kept of tables; a wholly damaged image may have millions. */
const BYTES_MAX = 8 * 2 ** 20;

/** How many clusters in use may have been named by a part of an L2 table: from one word up to another. */
export type InUse = (fromWord: number, toWord: number) => number;

/**
 * Where clusters are named that count as used more often than they are referred to. Disks share a cluster at one guest
 * offset: the reference that is missing was in a table at the same L1 index, at the same entry, and no table elsewhere
 * explains it. QEMU leaves such clusters when it makes a disk smaller whose L1 table maps VM state. Packed data lies beside
 * any other.
 */
export class OvercountedPlaces {
  /** By the host offset of a table: how many of the entries in each sector name such clusters. */
  readonly #tables = new Map<number, Uint8Array>();
  readonly #stride: number;
  readonly #clusterBits: number;
  readonly #excess: Excess;
  /** Such clusters that packed data lies in; one counts again for each entry. */
  #packed = 0;
  #isFull = false;

  constructor(
    { stride, clusterBits }: { readonly stride: number; readonly clusterBits: number },
    excess: Excess,
  ) {
    this.#stride = stride;
    this.#clusterBits = clusterBits;
    this.#excess = excess;
  }

  /** @param words of the L2 table at host offset `at`, in host order. */
  add(at: number, words: Uint32Array): void {
    const excess = this.#excess;
    if (excess.overcountedClusters === 0) return;
    const sectors = new Uint8Array(words.length / SECTOR_WORDS);
    let any = false;
    for (let i = 0; i < words.length; i += this.#stride) {
      const [high, low] = [words[i]!, words[i + 1]!];
      if ((high & COMPRESSED) !== 0) {
        const { first, last } = packedClusters(high, low, this.#clusterBits);
        for (let one = first; one <= last; one++) if (excess.isOvercounted(one)) this.#packed += 1;
        continue;
      }
      const offset = offsetOf(high, low);
      if (offset === 0 || !excess.isOvercounted(Math.floor(offset / 2 ** this.#clusterBits))) {
        continue;
      }
      sectors[Math.floor(i / SECTOR_WORDS)]! += 1;
      any = true;
    }
    if (!any) return;
    if ((this.#tables.size + 1) * sectors.length > BYTES_MAX) this.#isFull = true;
    else this.#tables.set(at, sectors);
  }

  /**
   * What each of these tables may have named, by its host offset: clusters that nothing refers to, and those that tables at
   * the same L1 index name. All, where there are too many tables to know.
   */
  async inUseOf(image: OpenImage, wanted: ReadonlySet<number>): Promise<(at: number) => InUse> {
    const { unreferencedClusters, overcountedClusters } = this.#excess;
    if (this.#isFull) return () => () => unreferencedClusters + overcountedClusters;
    const beside = await this.#besides(image, wanted);
    return (at) => {
      const tables = [...(beside.get(at) ?? [])].map((other) => this.#tables.get(other)!);
      return (fromWord, toWord) => {
        let named = 0;
        for (const sectors of tables) {
          const part = sectors.subarray(
            Math.floor(fromWord / SECTOR_WORDS),
            Math.ceil(toWord / SECTOR_WORDS),
          );
          for (const entries of part) named += entries;
        }
        return unreferencedClusters + this.#packed + named;
      };
    };
  }

  /** For each wanted table the others with such clusters that an L1 table has at one of its indexes. */
  async #besides(
    image: OpenImage,
    wanted: ReadonlySet<number>,
  ): Promise<ReadonlyMap<number, ReadonlySet<number>>> {
    const refs = [image.header.activeL1, ...image.snapshots.map(({ l1 }) => l1)];
    const byIndex = new Map<number, Set<number>>();
    await visitL1Tables(image.source, refs, (_, words) => {
      for (let i = 0; i < words.length; i += 2) {
        if (wanted.has(offsetOf(words[i]!, words[i + 1]!)) && !byIndex.has(i))
          byIndex.set(i, new Set());
      }
    });
    await visitL1Tables(image.source, refs, (_, words) => {
      for (const [i, tables] of byIndex) {
        const at = offsetOf(words[i] ?? 0, words[i + 1] ?? 0);
        if (this.#tables.has(at)) tables.add(at);
      }
    });
    const besides = new Map<number, Set<number>>();
    await visitL1Tables(image.source, refs, (_, words) => {
      for (const [i, tables] of byIndex) {
        const at = offsetOf(words[i] ?? 0, words[i + 1] ?? 0);
        if (!wanted.has(at)) continue;
        const known = besides.get(at) ?? new Set();
        for (const table of tables) known.add(table);
        besides.set(at, known);
      }
    });
    return besides;
  }
}
