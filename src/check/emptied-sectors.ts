import { counted } from '../base/text.js';
import type { Image } from '../image/image.js';
import { visitL1Tables } from '../image/l1-tables.js';
import { walkTables } from '../image/walk.js';
import { COMPRESSED, compressedExtent, offsetOf } from '../l1l2/entry.js';
import type { FindingCollector } from './collector.js';
import type { Excess } from './excess.js';

/** What a medium loses at once: a table is emptied in such pieces. */
export const SECTOR_WORDS = 512 / 4;

/** Tables of snapshots that are kept; a wholly damaged image may have millions. */
const TABLES_MAX = 65_536;

/**
 * Sectors of the active disk's L2 tables that were emptied, though only some of their entries were used. What
 * tells is a snapshot that has a cluster there which counts as used once more than it is referred to: the
 * active disk had it too.
 */
export class EmptiedSectors {
  readonly #sectors = new Map<number, ReadonlySet<number>>();
  readonly #stride: number;
  readonly #clusterBits: number;
  readonly #excess: Excess;

  constructor(
    { stride, clusterBits }: { readonly stride: number; readonly clusterBits: number },
    excess: Excess,
  ) {
    this.#stride = stride;
    this.#clusterBits = clusterBits;
    this.#excess = excess;
  }

  /** @param words of an L2 table of snapshots alone, at host offset `at`, in host order. */
  addOfSnapshot(at: number, words: Uint32Array): void {
    if (this.#excess.overcountedClusters === 0 || this.#sectors.size >= TABLES_MAX) return;
    const sectors = new Set<number>();
    for (let i = 0; i < words.length; i += this.#stride) {
      const cluster = clusterOf(words[i]!, words[i + 1]!, this.#clusterBits);
      if (this.#excess.isOvercounted(cluster)) sectors.add(Math.floor(i / SECTOR_WORDS));
    }
    if (sectors.size > 0) this.#sectors.set(at, sectors);
  }

  /**
   * Looks at the same sectors of the active disk.
   *
   * @param told host offsets of tables of which it is known already that they were emptied.
   */
  async find(
    image: Image,
    activeL1: Uint32Array,
    told: ReadonlySet<number>,
    collector: FindingCollector,
  ): Promise<void> {
    // Clusters that were the active disk's alone are referred to by nothing now.
    if (this.#sectors.size === 0 || this.#excess.unreferencedClusters === 0) return;
    const wanted = await this.#wantedOf(image, activeL1);
    const offsets = Float64Array.from(wanted.keys())
      .filter((at) => !told.has(at))
      .sort();
    await walkTables(image.source, offsets, image.geometry.clusterBytes, (index, words) => {
      const at = offsets[index]!;
      const empty = [...wanted.get(at)!].filter((sector) => {
        return words
          .subarray(sector * SECTOR_WORDS, (sector + 1) * SECTOR_WORDS)
          .every((word) => word === 0);
      });
      if (empty.length === 0) return;
      const entries = (empty.length * SECTOR_WORDS) / this.#stride;
      const what = `${counted(entries, 'empty entry', 'empty entries')} where a snapshot has some`;
      const found = this.#excess.unreferencedClusters + this.#excess.overcountedClusters;
      collector.add('TABLE_EMPTIED', { structure: 'active-l2', at, found, facts: { what } });
    });
  }

  /** Sectors of the active disk's tables, by the table's host offset. */
  async #wantedOf(image: Image, activeL1: Uint32Array): Promise<ReadonlyMap<number, Set<number>>> {
    const { clusterBytes } = image.geometry;
    const wanted = new Map<number, Set<number>>();
    const refs = image.snapshots.map(({ l1 }) => l1);
    await visitL1Tables(image.source, refs, (_, words) => {
      for (let i = 0; i < Math.min(words.length, activeL1.length); i += 2) {
        const sectors = this.#sectors.get(offsetOf(words[i]!, words[i + 1]!));
        if (sectors === undefined) continue;
        const at = offsetOf(activeL1[i]!, activeL1[i + 1]!);
        if (at === 0 || at % clusterBytes !== 0 || at >= image.fileSizeBytes) continue;
        const there = wanted.get(at);
        if (there === undefined) wanted.set(at, new Set(sectors));
        else for (const sector of sectors) there.add(sector);
      }
    });
    return wanted;
  }
}

/** The cluster that an entry's data lies or begins in; 0 where it has none. */
function clusterOf(high: number, low: number, clusterBits: number): number {
  const at =
    (high & COMPRESSED) !== 0 ? compressedExtent(high, low, clusterBits).at : offsetOf(high, low);
  return Math.floor(at / 2 ** clusterBits);
}
