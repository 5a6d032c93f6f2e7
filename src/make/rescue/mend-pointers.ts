import { COMPRESSED, COPIED, offsetOf } from '../../l1l2/entry.js';
import { oneBitNeighbours } from '../../image/one-bit.js';
import { HIGH_WORD } from '../../base/words.js';
import { walkTables } from '../../refs/tables.js';
import { ClusterSet } from '../../refcount/cluster-set.js';
import { flawOfL2Entry } from '../../edit/repair/mend-entry.js';
import { isCutOff, type Evidence } from './evidence.js';
import { isSoundL2 } from '../../read/scan/table-contents.js';
import { clusterOfEntry, entriesPastEnd, type WeighedTables } from './weigh.js';

/** Where L2 entries with a flipped bit led before: by table, then by the index of the entry. */
export type MendedPointers = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** What was found out about L2 entries that are suspect. */
export interface PointerFindings {
  readonly mended: MendedPointers;
  /**
   * By table: how many entries share their cluster with another entry. One of the two may have a flipped bit, and
   * nobody knows which.
   */
  readonly doubtful: ReadonlyMap<number, number>;
}

/** A table with more wrong entries was overwritten: no bit was flipped. */
const MENDED_OF_ONE_MAX = 64;
const MENDED_MAX = 65_536;

/**
 * Finds the clusters that L2 entries named before one of their bits flipped. An entry is suspect if it can't be right,
 * or if more entries name its cluster than the refcount allows. A candidate differs from it by one bit, and has a
 * higher refcount than entries that name it.
 *
 * @param metadata clusters in which no guest data can lie.
 */
export async function mendPointers(
  tables: WeighedTables,
  metadata: ClusterSet,
  evidence: Evidence,
): Promise<PointerFindings> {
  const mended = new Map<number, ReadonlyMap<number, number>>();
  const doubtful = new Map<number, number>();
  if (!evidence.refcounts.isKnown) return { mended, doubtful };
  const crowded = crowdedClusters(tables, evidence);
  const { source, scan, format } = evidence;
  const { clusterBytes } = format.geometry;
  const isSuspect = (_: number, index: number): boolean => crowded.any || tables.flawed[index]! > 0;
  const offsets = tables.offsets.filter(isSuspect);
  const taken = new Set<number>();
  let left = MENDED_MAX;
  await walkTables(source, offsets, clusterBytes, (table, words) => {
    const at = offsets[table]!;
    const entries = new Map<number, number>();
    const end = words.length - entriesPastEnd(at, evidence) * scan.stride;
    let suspects = 0;
    for (let i = 0; i < end && suspects <= MENDED_OF_ONE_MAX; i += scan.stride) {
      if (!isDoubtful(words, i, metadata, crowded.set, evidence)) continue;
      suspects += 1;
      const places = placesBefore(words, i, tables, metadata, taken, evidence);
      // An entry that is sound may be the right one of the two that name its cluster.
      const isSound = isSoundL2(words, i, scan) && !leadsInto(metadata, words, i, evidence);
      const place =
        places.length === 1 && !isSound ? places[0] : besideNeighbours(places, words, i, evidence);
      if (place === undefined && isSound && places.length > 0) {
        doubtful.set(at, (doubtful.get(at) ?? 0) + 1);
      }
      if (place === undefined || left === 0) continue;
      taken.add(place);
      left -= 1;
      entries.set(i / scan.stride, place);
    }
    if (entries.size > 0 && suspects <= MENDED_OF_ONE_MAX) mended.set(at, entries);
  });
  return { mended, doubtful };
}

/** Clusters that more is counted for than the refcounts allow. */
function crowdedClusters(
  { counts }: WeighedTables,
  { refcounts, format }: Evidence,
): { set: ClusterSet; any: boolean } {
  const set = new ClusterSet(format.fileClusters);
  let any = false;
  for (let cluster = 0; cluster < format.fileClusters; cluster++) {
    const count = counts.get(cluster);
    if (count === 0) continue;
    const stored = refcounts.of(cluster);
    if (stored === undefined || stored >= count || stored === 254) continue;
    set.add(cluster);
    any = true;
  }
  return { set, any };
}

function isDoubtful(
  words: Uint32Array,
  i: number,
  metadata: ClusterSet,
  crowded: ClusterSet,
  evidence: Evidence,
): boolean {
  const { scan } = evidence;
  const high = words[i]!;
  const low = words[i + 1]!;
  if ((high & ~COPIED) === 0 && low <= 1) return false;
  // What was cut off with the end of the file was there before: no bit has flipped.
  if ((high & COMPRESSED) === 0 && isCutOff(offsetOf(high, low), evidence)) return false;
  if (!isSoundL2(words, i, scan)) {
    // What is sound without its stray bits needs no other place.
    const entry = Array.from(words.subarray(i, i + scan.stride));
    const hasBothFlags = (high & COPIED) !== 0 && (high & COMPRESSED) !== 0;
    return hasBothFlags || flawOfL2Entry(entry, scan.format) !== 'bits';
  }
  const cluster = clusterOfEntry(high, low, scan);
  return cluster !== undefined && (metadata.has(cluster) || crowded.has(cluster));
}

function leadsInto(set: ClusterSet, words: Uint32Array, i: number, { scan }: Evidence): boolean {
  const cluster = clusterOfEntry(words[i]!, words[i + 1]!, scan);
  return cluster !== undefined && set.has(cluster);
}

/** Places, a bit away, that have more references than were found. */
function placesBefore(
  words: Uint32Array,
  i: number,
  { counts }: WeighedTables,
  metadata: ClusterSet,
  taken: ReadonlySet<number>,
  { format, fileSizeBytes, refcounts }: Evidence,
): readonly number[] {
  const { clusterBytes } = format.geometry;
  const high = words[i]!;
  if ((high & COMPRESSED) !== 0 && (high & COPIED) === 0) return [];
  const at = offsetOf(high, words[i + 1]!);
  const hasStrayBits = (high & 0x7f00_0000) !== 0 || (words[i + 1]! & 0x1fe) !== 0;
  const near = hasStrayBits ? [at] : oneBitNeighbours(at, clusterBytes, fileSizeBytes);
  return near.filter((place) => {
    const cluster = place / clusterBytes;
    if (!Number.isInteger(cluster) || metadata.has(cluster) || taken.has(place)) return false;
    // A snapshot may have it too: then the refcounts know of one reference more than was found.
    return (refcounts.of(cluster) ?? 0) > counts.get(cluster);
  });
}

/** The one of some places that continues what the entries beside it name, if the entry's own does not. */
function besideNeighbours(
  places: readonly number[],
  words: Uint32Array,
  i: number,
  { scan, format }: Evidence,
): number | undefined {
  const { clusterBytes } = format.geometry;
  const { stride } = scan;
  const before = clusterOfEntry(words[i - stride] ?? 0, words[i - stride + 1] ?? 0, scan);
  const after = clusterOfEntry(words[i + stride] ?? 0, words[i + stride + 1] ?? 0, scan);
  const continues = (cluster: number): boolean => cluster - 1 === before || cluster + 1 === after;
  if (continues(clusterOfEntry(words[i]!, words[i + 1]!, scan) ?? 0)) return undefined;
  return places.find((place) => continues(place / clusterBytes));
}

/** Puts the places back into a table. */
export function applyMended(
  words: Uint32Array,
  entries: ReadonlyMap<number, number> | undefined,
  { scan }: Evidence,
): void {
  for (const [entry, at] of entries ?? []) {
    const i = entry * scan.stride;
    words[i] = Math.floor(at / HIGH_WORD);
    words[i + 1] = ((at % HIGH_WORD) >>> 0) | (scan.stride === 2 ? words[i + 1]! & 1 : 0);
  }
}
