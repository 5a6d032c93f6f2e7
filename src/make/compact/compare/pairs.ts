import { MiB } from '../../../base/units.js';
import type { Segment } from '../../../read/guest/segments.js';
import { NOWHERE } from '../../../read/guest/segments.js';
import type { PackedClusters } from '../packed-clusters.js';
import { ComparedClusters, ZEROS } from './compared-clusters.js';
import type { DiskPair } from './table-pairs.js';

/** Guest bytes of a pair; one that is longer is divided. A multiple of every cluster size. */
export const PAIR_BYTES = 4 * MiB;

/** Where one image has the bytes of a pair. */
export interface Place {
  readonly kind: 'zero' | 'data' | 'compressed';
  /** Host offset of the first byte, or of the first packed one; NOWHERE for zeros. */
  readonly at: number;
  /** Of a compressed cluster: bytes of the unpacked one before the first of the pair; else 0. */
  readonly skip: number;
  /** Of a compressed cluster: packed bytes that its entry tells of; else 0. */
  readonly packedBytes: number;
}

/** The same guest bytes in both images, to be compared. */
export interface Pair {
  readonly disk: DiskPair;
  /** Guest offset in the old image. */
  readonly guestAt: number;
  readonly length: number;
  readonly old: Place;
  readonly made: Place;
}

/** Says that one image leaves bytes to the backing file and the other does not. */
export type Differ = (disk: DiskPair, guestAt: number, old: Segment, made: Segment) => never;

/** The facts of both images that pairs depend on. */
export interface PairRules {
  readonly oldClusterBytes: number;
  readonly newClusterBytes: number;
  readonly oldClusters: number;
  readonly newClusters: number;
  /** The compressed clusters of the old image. */
  readonly packed: PackedClusters;
  readonly hasSubclusters: boolean;
  /** Whether a backing file shows where an image has nothing. Else there are zeros. */
  readonly hasBacking: boolean;
  readonly differ: Differ;
}

/**
 * Finds out what has to be compared. What was compared once is no pair again: it is noted by the clusters of the image
 * that has the smaller ones.
 */
export class PairFinder {
  readonly #rules: PairRules;
  readonly #isOldFine: boolean;
  readonly #clusters: ComparedClusters;
  /** By compressed cluster of the old image. */
  readonly #packed: ComparedClusters;

  constructor(rules: PairRules) {
    this.#rules = rules;
    const { oldClusterBytes, newClusterBytes, oldClusters, newClusters, packed } = rules;
    this.#isOldFine = oldClusterBytes <= newClusterBytes;
    this.#clusters = this.#isOldFine
      ? new ComparedClusters(oldClusters, oldClusterBytes, rules.hasSubclusters)
      : new ComparedClusters(newClusters, newClusterBytes, rules.hasSubclusters);
    this.#packed = new ComparedClusters(packed.length, oldClusterBytes, false);
  }

  /**
   * Goes over what both images say of the same guest bytes.
   *
   * @param old in order, without gaps.
   * @param made the same bytes, `shift` behind those of the old image.
   */
  *pairs(
    disk: DiskPair,
    old: readonly Segment[],
    made: readonly Segment[],
    shift: number,
  ): Generator<Pair, void> {
    let at = old[0]!.start;
    for (let i = 0, j = 0; i < old.length && j < made.length;) {
      const [before, now] = [old[i]!, made[j]!];
      const [oldEnd, newEnd] = [before.start + before.length, now.start + now.length - shift];
      const end = Math.min(oldEnd, newEnd);
      if (this.#areToCompare(disk, at, before, now)) {
        const pair = {
          ...{ disk, guestAt: at, length: end - at },
          old: placeIn(before, at, this.#rules.oldClusterBytes),
          made: placeIn(now, at + shift, this.#rules.newClusterBytes),
        };
        yield* this.#isOldFine
          ? this.#unknownOf(pair, pair.old, pair.made)
          : this.#unknownOf(pair, pair.made, pair.old);
      }
      if (end === oldEnd) i += 1;
      if (end === newEnd) j += 1;
      at = end;
    }
  }

  /** @returns false where both are zeros, or left to the backing file. */
  #areToCompare(disk: DiskPair, guestAt: number, old: Segment, made: Segment): boolean {
    const isNone = made.kind === 'unallocated';
    if (this.#rules.hasBacking && (old.kind === 'unallocated') !== isNone) {
      this.#rules.differ(disk, guestAt, old, made);
    }
    return hasBytes(old) || hasBytes(made);
  }

  *#unknownOf(pair: Pair, fine: Place, coarse: Place): Generator<Pair, void> {
    if (fine.kind === 'data') yield* this.#unknownClusters(pair, fine, coarse);
    else if (!this.#wasUnpacked(pair, fine, coarse)) {
      for (let from = 0; from < pair.length; from += PAIR_BYTES) {
        yield part(pair, from, Math.min(pair.length, from + PAIR_BYTES));
      }
    }
  }

  *#unknownClusters(pair: Pair, fine: Place, coarse: Place): Generator<Pair, void> {
    const { oldClusterBytes, newClusterBytes } = this.#rules;
    const clusterBytes = Math.min(oldClusterBytes, newClusterBytes);
    let first = 0;
    for (let from = 0; from < pair.length;) {
      const skip = (fine.at + from) % clusterBytes;
      const to = Math.min(pair.length, from - skip + clusterBytes);
      const cluster = Math.floor((fine.at + from) / clusterBytes);
      const other = otherOf(coarse, from - skip);
      const isKnown =
        other !== undefined && this.#clusters.wasCompared(cluster, skip, skip + to - from, other);
      if (isKnown && from > first) yield part(pair, first, from);
      if (isKnown) first = to;
      else if (to - first >= PAIR_BYTES) {
        yield part(pair, first, to);
        first = to;
      }
      from = to;
    }
    if (pair.length > first) yield part(pair, first, pair.length);
  }

  #wasUnpacked({ length }: Pair, fine: Place, coarse: Place): boolean {
    if (fine.kind !== 'compressed' || !this.#isOldFine) return false;
    const other = otherOf(coarse, -fine.skip);
    if (other === undefined) return false;
    const index = this.#rules.packed.indexOf(fine.at);
    return this.#packed.wasCompared(index, fine.skip, fine.skip + length, other);
  }
}

function hasBytes({ kind }: Segment): boolean {
  return kind === 'data' || kind === 'compressed';
}

function placeIn(segment: Segment, guestAt: number, clusterBytes: number): Place {
  const { kind, start, at, sectorBytes } = segment;
  if (kind === 'data') return { kind, at: at + guestAt - start, skip: 0, packedBytes: 0 };
  if (kind !== 'compressed') return { kind: 'zero', at: NOWHERE, skip: 0, packedBytes: 0 };
  // Clusters begin at multiples of their size on the disk, too.
  return { kind, at, skip: guestAt % clusterBytes, packedBytes: sectorBytes - (at % 512) };
}

/** What tells apart what is in the place of a whole cluster, which begins `from` bytes behind; undefined where nothing does. */
function otherOf({ kind, at, skip }: Place, from: number): number | undefined {
  if (kind === 'zero') return ZEROS;
  if (kind === 'data') return at + from;
  // Of a larger cluster only the first part is told by the place.
  return skip + from === 0 ? -at : undefined;
}

function part(pair: Pair, from: number, to: number): Pair {
  if (from === 0 && to === pair.length) return pair;
  return {
    ...{ disk: pair.disk, guestAt: pair.guestAt + from, length: to - from },
    ...{ old: placeBehind(pair.old, from), made: placeBehind(pair.made, from) },
  };
}

function placeBehind(place: Place, from: number): Place {
  if (place.kind === 'zero') return place;
  if (place.kind === 'data') return { ...place, at: place.at + from };
  return { ...place, skip: place.skip + from };
}
