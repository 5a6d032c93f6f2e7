import { isZero } from '../../base/bytes.js';
import { counted } from '../../base/text.js';
import { bytesOf, swapWords } from '../../base/words.js';
import type { Image, OpenImage } from '../../image/image.js';
import { plausibleEntries } from '../../image/unlisted.js';
import { walkStoredTables } from '../../refs/tables.js';
import {
  COMPRESSED,
  COPIED,
  compressedExtent,
  isEmpty,
  offsetOf,
  ZERO_FLAG,
} from '../../l1l2/entry.js';
import { lookAtL1, lookAtL2 } from '../../l1l2/recognise.js';
import type { Scan } from '../../l1l2/scan.js';
import type { FindingCollector } from './collector.js';
import type { References } from './count-references.js';
import type { Excess } from './excess.js';
import type { Unreferenced } from './report.js';

/**
 * Looks for lost tables among the clusters that count as used and that nothing refers to. If one looks like a
 * table, and its entries lead to clusters that nothing else explains, the pointer to that table was lost.
 *
 * Three kinds of leaks are no loss and pass: clusters of an allocation that was broken off; a copy of a table
 * that is still there; and the copy of the active L1 that a failed snapshot leaves, unless a snapshot table
 * names it.
 *
 * @param lookBytes how many bytes of these clusters are looked at.
 * @returns what they seem to hold.
 */
export async function findUnreferencedTables(
  image: OpenImage,
  references: References,
  excess: Excess,
  lookBytes: number,
  collector: FindingCollector,
): Promise<Unreferenced> {
  const { clusterBytes } = image.geometry;
  const most = Math.floor(lookBytes / clusterBytes);
  const offsets = new Float64Array(Math.min(excess.unreferencedClusters, most));
  const inUse = excess.unreferenced;
  for (let i = 0, at = inUse.next(1); i < offsets.length; i++) {
    offsets[i] = at * clusterBytes;
    at = inUse.next(at + 1);
  }
  const look = new Look(image, references, excess);
  let tables = 0;
  await walkStoredTables(image.source, offsets, clusterBytes, (index, words) => {
    const cluster = offsets[index]! / clusterBytes;
    const what = look.at(words, offsets[index]!);
    if (what === undefined) return;
    tables += 1;
    const where = { structure: 'unreferenced-cluster', at: offsets[index]!, cluster } as const;
    collector.add('TABLE_UNREFERENCED', { ...where, facts: { what } });
  });
  // A single one may be a flipped bit of a refcount.
  if (look.shared > 1) {
    const where = { structure: 'unreferenced-cluster', at: look.firstShared } as const;
    collector.add('SHARED_DATA_UNREFERENCED', { ...where, found: look.shared });
  }
  const { length: looked } = offsets;
  const { zeros } = look;
  const clusters = excess.unreferencedClusters;
  const data = looked - tables - zeros;
  const unreferenced = { clusters, tables, data, zeros, notLookedAt: clusters - looked };
  if (looked === clusters) return unreferenced;
  const where = { structure: 'unreferenced-cluster', at: offsets.at(-1) ?? 0 } as const;
  const seen = { found: clusters, expected: most };
  collector.add('LEAKS_NOT_ALL_SEEN', { ...where, ...seen });
  return unreferenced;
}

class Look {
  readonly #image: Image;
  readonly #scan: Scan;
  readonly #excess: Excess;
  readonly #activeL1: Uint32Array;
  readonly #roots: ReadonlySet<number>;
  zeros = 0;
  /** Clusters of data that several disks had, by their refcounts, and the offset of the first. */
  shared = 0;
  firstShared = 0;

  constructor(image: Image, { scan, activeL1 }: References, excess: Excess) {
    this.#image = image;
    this.#scan = scan;
    this.#excess = excess;
    this.#activeL1 = activeL1;
    this.#roots = new Set([image.header.activeL1.at, ...image.snapshots.map(({ l1 }) => l1.at)]);
  }

  /** The lost table in a cluster, in words that complete "looks like …"; undefined: there is none. */
  at(stored: Uint32Array, fileAt: number): string | undefined {
    if (isZero(bytesOf(stored))) {
      this.zeros += 1;
      this.#excess.addZero(fileAt / this.#image.geometry.clusterBytes);
      return undefined;
    }
    if (this.#excess.wasShared(fileAt / this.#image.geometry.clusterBytes)) {
      if (this.shared === 0) this.firstShared = fileAt;
      this.shared += 1;
    }
    const snapshots = this.#lostSnapshots(bytesOf(stored), fileAt);
    if (snapshots > 0) return `a snapshot table with ${counted(snapshots, 'lost snapshot')}`;
    swapWords(stored);
    if (this.#isCopyOfActiveL1(stored)) return undefined;
    const stride = this.#scan.stride;
    const l2 = lookAtL2(stored, this.#scan);
    const l1 = l2 === undefined && stride === 4 ? lookAtL1(stored, this.#scan) : undefined;
    const looks = l2 ?? l1;
    if (looks === undefined) return this.#zeroEntries(stored);
    const lost = this.#lostTargets(stored, l2 === undefined ? 2 : stride);
    if (lost === 0) return undefined;
    const entries = counted(looks.pointers, 'entry', 'entries');
    return `a table with ${entries}, of which ${lost} lead to what nothing else accounts for`;
  }

  /** Snapshots of a table that lies in these bytes whose L1 tables nothing refers to. */
  #lostSnapshots(bytes: Uint8Array, at: number): number {
    const { fileSizeBytes, header, geometry } = this.#image;
    const { diskSizeBytes } = header;
    const { clusterBytes } = geometry;
    const where = { at, fileSizeBytes, diskSizeBytes, clusterBytes };
    return plausibleEntries(bytes, where).filter(({ l1 }) => {
      const cluster = Math.floor(l1.at / clusterBytes);
      return !this.#roots.has(l1.at) && this.#excess.has(cluster);
    }).length;
  }

  /** Whether the words are those of a part of the active L1, but for the COPIED flags. */
  #isCopyOfActiveL1(words: Uint32Array): boolean {
    const l1 = this.#activeL1;
    for (let from = 0; from < l1.length; from += words.length) {
      let i = 0;
      while (i < words.length && sameEntry(words, l1, i, from + i)) i += 2;
      if (i >= words.length) return true;
    }
    return false;
  }

  /** Over a backing file entries that only read as zeros are data too. */
  #zeroEntries(words: Uint32Array): string | undefined {
    const { stride, format } = this.#scan;
    if (this.#image.backingNameBytes === undefined || format.version !== 3) return undefined;
    let zeros = 0;
    for (let i = 0; i < words.length; i += stride) {
      const isPlain = stride === 2 && words[i] === 0 && words[i + 1] === ZERO_FLAG;
      const isOfSubclusters =
        stride === 4 && (words[i]! | words[i + 1]! | words[i + 3]!) === 0 && words[i + 2] !== 0;
      if (isPlain || isOfSubclusters) zeros += 1;
      else if (!isEmpty(words, i, stride)) return undefined;
    }
    const entries = counted(zeros, 'entry', 'entries');
    return zeros < 2 ? undefined : `a table with ${entries} that read as zeros`;
  }

  #lostTargets(words: Uint32Array, stride: number): number {
    const { clusterBits } = this.#scan;
    const clusterBytes = 2 ** clusterBits;
    let lost = 0;
    for (let i = 0; i < words.length; i += stride) {
      const [high, low] = [words[i]!, words[i + 1]!];
      const isCompressed = (high & COMPRESSED) !== 0;
      const at = isCompressed ? compressedExtent(high, low, clusterBits).at : offsetOf(high, low);
      if (at !== 0 && this.#excess.has(Math.floor(at / clusterBytes))) lost += 1;
    }
    return lost;
  }
}

function sameEntry(a: Uint32Array, b: Uint32Array, i: number, j: number): boolean {
  const [high, low] = [b[j] ?? 0, b[j + 1] ?? 0];
  return ((a[i]! ^ high) & ~COPIED) === 0 && a[i + 1] === low;
}
