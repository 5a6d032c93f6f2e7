import { isZero } from '../../base/bytes.js';
import { counted } from '../../base/text.js';
import { bytesOf } from '../../base/words.js';
import type { OpenImage } from '../../image/image.js';
import { visitL1Tables } from '../../refs/l1-tables.js';
import { walkTables } from '../../refs/tables.js';
import { COMPRESSED, isEmpty, offsetOf } from '../../l1l2/entry.js';
import type { FindingCollector } from './collector.js';
import type { References } from './count-references.js';
import { EmptiedSectors, SECTOR_WORDS } from './emptied-sectors.js';
import type { Excess } from './excess.js';
import { OvercountedPlaces, type InUse } from './overcounted-places.js';
import type { Structure } from './finding-parts.js';

/**
 * Looks for tables that are empty, or empty in part, while clusters are in use that they may have named. The
 * first allocation of a table leaves the same if it is broken off. Nobody can tell the two apart, so both count
 * as a loss.
 */
export async function findEmptiedTables(
  image: OpenImage,
  references: References,
  excess: Excess,
  collector: FindingCollector,
): Promise<void> {
  const { tally, scan } = references;
  const { offsets, active } = tally;
  const { clusterBytes } = image.geometry;
  const { unreferencedClusters, overcountedClusters } = excess;
  const found = unreferencedClusters + overcountedClusters;
  const sectors = new EmptiedSectors(scan, excess);
  const places = new OvercountedPlaces(scan, excess);
  const told = new Set<number>();
  const undecided = new Set<number>();
  const judge = (words: Uint32Array, inUse: InUse): string | undefined =>
    emptiedIn(words, scan.stride, scan.clusterBits, excess, inUse);
  const tell = (at: number, isActive: boolean, what: string): void => {
    told.add(at);
    const structure: Structure = isActive ? 'active-l2' : 'inactive-l2';
    collector.add('TABLE_EMPTIED', { structure, at, found, facts: { what } });
  };
  await walkTables(image.source, offsets, clusterBytes, (index, words) => {
    const at = offsets[index]!;
    // What lies off a cluster's start or past the end has a finding of its own.
    if (at === 0 || at % clusterBytes !== 0 || at >= image.fileSizeBytes) return;
    places.add(at, words);
    const what = judge(words, () => unreferencedClusters);
    if (what !== undefined) tell(at, active[index] !== 0, what);
    else if (judge(words, () => found) !== undefined) undecided.add(at);
    else sectors.add(at, words);
  });
  if (undecided.size > 0) {
    const inUseOf = await places.inUseOf(image, undecided);
    const left = Float64Array.from(undecided).sort();
    await walkTables(image.source, left, clusterBytes, (index, words) => {
      const at = left[index]!;
      const what = judge(words, inUseOf(at));
      if (what === undefined) sectors.add(at, words);
      else tell(at, active[offsets.indexOf(at)] !== 0, what);
    });
  }
  await sectors.find(image, references, told, collector);
  await findEmptiedL1s(image, references, excess, collector);
}

/**
 * Names the empty part of an L2 table that may have had entries, in words that complete "has …".
 *
 * @param words in host order.
 * @param inUse how many unexplained clusters a part of it may have named.
 */
function emptiedIn(
  words: Uint32Array,
  stride: number,
  clusterBits: number,
  excess: Excess,
  inUse: InUse,
): string | undefined {
  let first = 0;
  while (first < words.length && isEmpty(words, first, stride)) first += stride;
  if (first >= words.length) return inUse(0, words.length) > 0 ? 'no entry' : undefined;
  for (let from = 0; from < words.length;) {
    if (!isEmpty(words, from, stride)) {
      from += stride;
      continue;
    }
    let to = from;
    while (to < words.length && isEmpty(words, to, stride)) to += stride;
    const entries = (to - from) / stride;
    if (isHole(words, from, to, stride, clusterBits, excess, inUse)) {
      return `${counted(entries, 'empty entry', 'empty entries')} in a row`;
    }
    from = to;
  }
  return undefined;
}

/**
 * Whether a row of empty entries once had entries. A cluster is "unexplained" here if its refcount is higher than
 * its references. Any one of three signs is enough:
 *
 * - the row is whole sectors, and may have named at least as many unexplained clusters;
 * - the entries before and after the row name clusters with a gap of the same length, all of it unexplained;
 * - the row has a whole sector, and beside the cluster of a neighbouring entry lie clusters of unreferenced data,
 *   at least a sector's worth: as many as make whole sectors, or the row begins or ends at a sector there.
 */
function isHole(
  words: Uint32Array,
  from: number,
  to: number,
  stride: number,
  clusterBits: number,
  excess: Excess,
  inUse: InUse,
): boolean {
  const entries = (to - from) / stride;
  const isOfSectors = from % SECTOR_WORDS === 0 && to % SECTOR_WORDS === 0;
  if (isOfSectors && inUse(from, to) >= entries) return true;
  const before = from === 0 ? undefined : clusterAt(words, from - stride, clusterBits);
  const after = to === words.length ? undefined : clusterAt(words, to, clusterBits);
  if (before !== undefined && after !== undefined && after - before === entries + 1) {
    let cluster = before + 1;
    while (cluster < after && excess.has(cluster)) cluster += 1;
    if (cluster === after) return true;
  }
  const firstSector = Math.ceil(from / SECTOR_WORDS);
  if ((firstSector + 1) * SECTOR_WORDS > to) return false;
  const sectorEntries = SECTOR_WORDS / stride;
  // A sequence of writes that was broken off leaves as many, but hardly up to where a sector of entries ends.
  const isOfSectorsNextTo = (
    neighbour: number | undefined,
    step: 1 | -1,
    edge: number,
  ): boolean => {
    if (neighbour === undefined) return false;
    const length = dataRun(excess, neighbour, step, words.length / stride);
    const isWhole = edge % SECTOR_WORDS === 0 || length % sectorEntries === 0;
    return length >= sectorEntries && isWhole;
  };
  return isOfSectorsNextTo(before, 1, from) || isOfSectorsNextTo(after, -1, to);
}

/** Clusters of data that nothing refers to in a row, next to `cluster`; counted up to `most`. */
function dataRun(excess: Excess, cluster: number, step: 1 | -1, most: number): number {
  let count = 0;
  while (count < most && excess.isLostData(cluster + (count + 1) * step)) count += 1;
  return count;
}

/** The cluster that a standard entry names. */
function clusterAt(words: Uint32Array, at: number, clusterBits: number): number | undefined {
  const [high, low] = [words[at]!, words[at + 1]!];
  const offset = offsetOf(high, low);
  if ((high & COMPRESSED) !== 0 || offset === 0) return undefined;
  return Math.floor(offset / 2 ** clusterBits);
}

/**
 * Finds L1 tables without any entry. Finds also single empty L1 entries, if another L1 has an L2 table at the same
 * index whose refcount is higher than its references. If that is so of all L2 tables of the active disk, a
 * snapshot was not finished, and single entries are no sign.
 */
async function findEmptiedL1s(
  image: OpenImage,
  { tally, activeL1, regions }: References,
  excess: Excess,
  collector: FindingCollector,
): Promise<void> {
  const { clusterBytes } = image.geometry;
  const overcounted = new Set(
    [...tally.offsets].filter((at) => at !== 0 && excess.has(Math.floor(at / clusterBytes))),
  );
  const isOver = (words: Uint32Array, i: number): boolean =>
    overcounted.has(offsetOf(words[i]!, words[i + 1]!));
  const refs = [image.header.activeL1, ...image.snapshots.map(({ l1 }) => l1)];
  const indexes = new Set<number>();
  if (overcounted.size > 0 && !isWholeDisk(activeL1, isOver)) {
    await visitL1Tables(image.source, refs, (_, words) => {
      for (let i = 0; i < words.length; i += 2) if (isOver(words, i)) indexes.add(i);
    });
  }
  const inUse = excess.unreferencedClusters + excess.overcountedClusters;
  // The tables that an emptied L1 table named are unexplained themselves. Other metadata that counts too high will be
  // unreferenced once an edit gives it another place.
  const isMetadataOver = regions.some(({ at, bytes }) => {
    const end = Math.ceil((at + bytes) / clusterBytes);
    for (let i = Math.floor(at / clusterBytes); i < end; i++) if (excess.has(i)) return true;
    return false;
  });
  const mayBeEmptied = excess.unreferencedClusters + overcounted.size > 0 || isMetadataOver;
  if (!mayBeEmptied) return;
  await visitL1Tables(image.source, refs, (position, words) => {
    if (words.length === 0) return;
    const isWhole = isZero(bytesOf(words));
    const empty = [...indexes].filter((i) => i < words.length && (words[i]! | words[i + 1]!) === 0);
    if (!isWhole && empty.length === 0) return;
    const structure: Structure = position === 0 ? 'active-l1' : 'inactive-l1';
    const what = isWhole ? 'no entry' : counted(empty.length, 'empty entry', 'empty entries');
    const found = isWhole ? inUse : overcounted.size;
    collector.add('TABLE_EMPTIED', { structure, at: refs[position]!.at, found, facts: { what } });
  });
}

/** Whether all tables of the active disk count as used once more: what a snapshot leaves that failed. */
function isWholeDisk(
  activeL1: Uint32Array,
  isOver: (words: Uint32Array, i: number) => boolean,
): boolean {
  let any = false;
  for (let i = 0; i < activeL1.length; i += 2) {
    if ((activeL1[i]! | activeL1[i + 1]!) === 0) continue;
    if (!isOver(activeL1, i)) return false;
    any = true;
  }
  return any;
}
