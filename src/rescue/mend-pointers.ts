import { COMPRESSED, COPIED, offsetOf } from '../l1l2/entry.js';
import { oneBitNeighbours } from '../l1l2/one-bit.js';
import { HIGH_WORD } from '../base/words.js';
import { walkTables } from '../image/walk.js';
import { ClusterSet } from '../refcount/cluster-set.js';
import type { Evidence } from './evidence.js';
import { isSoundL2 } from './tally-table.js';
import { clusterOfEntry, entriesPastEnd, type WeighedTables } from './weigh.js';

/** Where L2 entries with a flipped bit led before: by table, then by the index of the entry. */
export type MendedPointers = ReadonlyMap<number, ReadonlyMap<number, number>>;

/** A table with more wrong entries was overwritten: no bit was flipped. */
const MENDED_OF_ONE_MAX = 64;
const MENDED_MAX = 65_536;

/**
 * Finds the clusters that L2 entries with a flipped bit led to: by the refcounts in use, one bit away,
 * and named by nothing. An entry is suspect where it can't be right, and where more entries name its
 * cluster than its refcount allows.
 *
 * @param metadata clusters in which no guest data can lie.
 */
export async function mendPointers(
  tables: WeighedTables,
  metadata: ClusterSet,
  evidence: Evidence,
): Promise<MendedPointers> {
  const mended = new Map<number, ReadonlyMap<number, number>>();
  if (!evidence.refcounts.isKnown) return mended;
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
      const place = placeBefore(words, i, tables, metadata, taken, evidence);
      if (place === undefined || left === 0) continue;
      taken.add(place);
      left -= 1;
      entries.set(i / scan.stride, place);
    }
    if (entries.size > 0 && suspects <= MENDED_OF_ONE_MAX) mended.set(at, entries);
  });
  return mended;
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
  { scan }: Evidence,
): boolean {
  const high = words[i]!;
  const low = words[i + 1]!;
  if ((high & ~COPIED) === 0 && low <= 1) return false;
  if (!isSoundL2(words, i, scan)) return true;
  const cluster = clusterOfEntry(high, low, scan);
  return cluster !== undefined && (metadata.has(cluster) || crowded.has(cluster));
}

/** The one place, a bit away, that has more references than were found; or the one beside its neighbours'. */
function placeBefore(
  words: Uint32Array,
  i: number,
  { counts }: WeighedTables,
  metadata: ClusterSet,
  taken: ReadonlySet<number>,
  { scan, format, fileSizeBytes, refcounts }: Evidence,
): number | undefined {
  const { clusterBytes } = format.geometry;
  const high = words[i]!;
  if ((high & COMPRESSED) !== 0 && (high & COPIED) === 0) return undefined;
  const at = offsetOf(high, words[i + 1]!);
  const hasStrayBits = (high & 0x7f00_0000) !== 0;
  const near = hasStrayBits ? [at] : oneBitNeighbours(at, clusterBytes, fileSizeBytes);
  const places = near.filter((place) => {
    const cluster = place / clusterBytes;
    if (!Number.isInteger(cluster) || metadata.has(cluster) || taken.has(place)) return false;
    // A snapshot may have it too: then the refcounts know of one reference more than was found.
    return (refcounts.of(cluster) ?? 0) > counts.get(cluster);
  });
  if (places.length < 2) return places[0];
  const before =
    i === 0
      ? undefined
      : clusterOfEntry(words[i - scan.stride]!, words[i - scan.stride + 1]!, scan);
  const after = clusterOfEntry(words[i + scan.stride] ?? 0, words[i + scan.stride + 1] ?? 0, scan);
  return places.find((place) => {
    const cluster = place / clusterBytes;
    return cluster - 1 === before || cluster + 1 === after;
  });
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
