import { isZero } from '../../base/bytes.js';
import { counted } from '../../base/text.js';
import { bytesOf } from '../../base/words.js';
import type { OpenImage } from '../../image/image.js';
import { visitL1Tables } from '../../refs/l1-tables.js';
import { walkTables } from '../../refs/tables.js';
import { COMPRESSED, compressedExtent, offsetOf } from '../../l1l2/entry.js';
import type { FindingCollector } from './collector.js';
import type { References } from './count-references.js';
import type { Excess } from './excess.js';

/** What a medium loses at once: a table is emptied in such pieces. */
const SECTOR_BYTES = 512;
export const SECTOR_WORDS = SECTOR_BYTES / 4;

/** Tables that are kept; a wholly damaged image may have millions. */
const TABLES_MAX = 65_536;

/** Sectors of a table with entries whose clusters count as used more often than they are referred to. */
interface Overcounted {
  readonly sectors: ReadonlySet<number>;
  readonly entries: number;
}

/**
 * Finds emptied sectors of L2 tables by the table of another disk for the same guest range. If the refcounts of
 * that table's clusters are too high in some sectors and nowhere else, a second disk had these clusters, too. A
 * table that is empty in all these sectors has lost them.
 */
export class EmptiedSectors {
  readonly #tables = new Map<number, Overcounted>();
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

  /** @param words of the L2 table at host offset `at`, in host order. */
  add(at: number, words: Uint32Array): void {
    if (this.#excess.overcountedClusters === 0 || this.#tables.size >= TABLES_MAX) return;
    const sectors = new Set<number>();
    let [entries, used] = [0, 0];
    for (let i = 0; i < words.length; i += this.#stride) {
      const cluster = clusterOf(words[i]!, words[i + 1]!, this.#clusterBits);
      if (cluster === 0) continue;
      used += 1;
      if (!this.#excess.isOvercounted(cluster)) continue;
      entries += 1;
      sectors.add(Math.floor(i / SECTOR_WORDS));
    }
    // A snapshot that was not finished leaves a whole table so.
    if (entries > 0 && entries < used) this.#tables.set(at, { sectors, entries });
  }

  /**
   * Looks at the same sectors of the other disks.
   *
   * @param told host offsets of tables with a finding already.
   */
  async find(
    image: OpenImage,
    { tally }: References,
    told: ReadonlySet<number>,
    collector: FindingCollector,
  ): Promise<void> {
    if (this.#tables.size === 0) return;
    const others = await this.#othersOf(image);
    const offsets = Float64Array.from(others.keys())
      .filter((at) => !told.has(at))
      .sort();
    const excess = this.#excess;
    const found = excess.unreferencedClusters + excess.overcountedClusters;
    await walkTables(image.source, offsets, image.geometry.clusterBytes, (index, words) => {
      const at = offsets[index]!;
      const lost = others.get(at)!.find((other) => this.#tells(other, words));
      if (lost === undefined) return;
      const isActive = tally.active[tally.offsets.indexOf(at)] !== 0;
      const structure = isActive ? 'active-l2' : 'inactive-l2';
      const entries = (lost.sectors.size * SECTOR_WORDS) / this.#stride;
      const what = `${counted(entries, 'empty entry', 'empty entries')} where another disk has some`;
      collector.add('TABLE_EMPTIED', { structure, at, found, facts: { what } });
    });
  }

  /** Whether the table has nothing where the other has clusters that count as used once more. */
  #tells({ sectors, entries }: Overcounted, words: Uint32Array): boolean {
    // One refcount that is too high, and nothing else, is wrong by itself.
    if (entries === 1 && this.#excess.unreferencedClusters === 0) return false;
    const bytes = bytesOf(words);
    return [...sectors].every((sector) =>
      isZero(bytes, sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES),
    );
  }

  /** For each table, by its host offset, what is known of others that lie at the same L1 index. */
  async #othersOf(image: OpenImage): Promise<ReadonlyMap<number, readonly Overcounted[]>> {
    const { clusterBytes } = image.geometry;
    const refs = [image.header.activeL1, ...image.snapshots.map(({ l1 }) => l1)];
    const byIndex = new Map<number, Set<number>>();
    await visitL1Tables(image.source, refs, (_, words) => {
      for (let i = 0; i < words.length; i += 2) {
        const at = offsetOf(words[i]!, words[i + 1]!);
        if (this.#tables.has(at)) byIndex.set(i, (byIndex.get(i) ?? new Set()).add(at));
      }
    });
    const others = new Map<number, Overcounted[]>();
    await visitL1Tables(image.source, refs, (_, words) => {
      for (const [i, telling] of byIndex) {
        const at = offsetOf(words[i] ?? 0, words[i + 1] ?? 0);
        if (at === 0 || at % clusterBytes !== 0 || at >= image.fileSizeBytes) continue;
        if (others.has(at) || others.size >= TABLES_MAX) continue;
        const rest = [...telling].filter((one) => one !== at);
        if (rest.length > 0) {
          others.set(
            at,
            rest.map((one) => this.#tables.get(one)!),
          );
        }
      }
    });
    return others;
  }
}

/** The cluster that an entry's data lies or begins in; 0 where it has none. */
function clusterOf(high: number, low: number, clusterBits: number): number {
  const at =
    (high & COMPRESSED) !== 0 ? compressedExtent(high, low, clusterBits).at : offsetOf(high, low);
  return Math.floor(at / 2 ** clusterBits);
}
