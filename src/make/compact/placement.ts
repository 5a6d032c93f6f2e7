import { HIGH_WORD } from '../../base/words.js';
import { COMPRESSED, compressedExtent, COPIED, offsetOf, ZERO_FLAG } from '../../l1l2/entry.js';
import { ALL_SUBCLUSTERS } from '../../l1l2/new-entry.js';
import type { Geometry } from '../../qcow2/geometry.js';
import { HostClusters } from '../new/host-clusters.js';
import { compressedEntry, type Packing } from '../new/packing.js';
import { packingOf } from './packing-of.js';
import type { SourceTables } from './source-tables.js';
import { holdsData, type Survey } from './survey.js';

/** A cluster of the old image that the new one leaves out, since it reads as zeros. */
const LEFT_OUT = -1;

/** What new entries can say. */
export interface EntryRules {
  readonly geometry: Geometry;
  /** Zeros become unallocated where nothing else could show. */
  readonly zerosUnallocated: boolean;
}

/**
 * Where everything of the old image goes in the new one. Places are given in ascending order; entries are made of
 * them when all have one.
 */
export class Placement {
  readonly clusters: HostClusters;
  readonly #packing: Packing;
  readonly #source: SourceTables;
  readonly #survey: Survey;
  readonly #rules: EntryRules;
  /** By L2 table: its place; 0: none. */
  readonly tables: Float64Array;
  /** By host cluster of the old image: its place in bytes, 0 or LEFT_OUT. */
  readonly #places: Float64Array;
  /** By host cluster of the old image: bytes that it was compressed to; 0: it is as it was. */
  #packedBytes: Uint32Array | undefined;
  /** By compressed cluster of the old image: the same two. */
  readonly #placesOfPacked: Float64Array;
  readonly #bytesOfPacked: Uint32Array;

  constructor(source: SourceTables, survey: Survey, rules: EntryRules) {
    this.clusters = new HostClusters(rules.geometry, 1);
    this.#packing = packingOf(this.clusters, rules.geometry.clusterBytes);
    this.#source = source;
    this.#survey = survey;
    this.#rules = rules;
    this.tables = new Float64Array(source.tables.length);
    this.#places = new Float64Array(source.format.fileClusters);
    this.#placesOfPacked = new Float64Array(survey.packed.length);
    this.#bytesOfPacked = new Uint32Array(survey.packed.length);
  }

  get clusterBytes(): number {
    return this.#rules.geometry.clusterBytes;
  }

  /**
   * Gives a table its place, when all that it leads to has one. A table without any entry has none.
   *
   * @param words as the old image has them; they become those of the new one.
   * @throws QsnapError LIMIT_EXCEEDED, REFCOUNT_OVERFLOW, as all that places.
   */
  placeTable(table: number, words: Uint32Array): void {
    this.renew(words, false);
    if (words.every((word) => word === 0)) return;
    this.tables[table] = this.clusters.append(1, this.#source.pointers[table]);
  }

  /** @returns the place of a cluster that stays as long as it is. */
  placeCluster(cluster: number): number {
    const at = this.clusters.append(1, this.#survey.references[cluster]);
    this.#places[cluster] = at;
    return at;
  }

  /** @returns the place of a cluster that was compressed. */
  packCluster(cluster: number, bytes: number): number {
    const at = this.#packing.place(bytes, this.#survey.references[cluster]);
    this.#packedBytes ??= new Uint32Array(this.#places.length);
    this.#packedBytes[cluster] = bytes;
    this.#places[cluster] = at;
    return at;
  }

  /** The cluster reads as zeros wherever it was. */
  leaveOut(cluster: number): void {
    this.#places[cluster] = LEFT_OUT;
  }

  /** @returns the place of a compressed cluster that takes so many bytes from now on. */
  placePacked(index: number, bytes: number): number {
    const at = this.#packing.place(bytes, this.#survey.packed.references[index]);
    this.#placesOfPacked[index] = at;
    this.#bytesOfPacked[index] = bytes;
    return at;
  }

  /** @returns the place of a compressed cluster that was unpacked for good. */
  unpack(index: number): number {
    const at = this.clusters.append(1, this.#survey.packed.references[index]);
    this.#placesOfPacked[index] = at;
    return at;
  }

  /** The same for a compressed cluster. */
  leaveOutPacked(index: number): void {
    this.#placesOfPacked[index] = LEFT_OUT;
  }

  /** Where the table at a host offset of the old image went; 0: nowhere, since nothing was in it. */
  tableAt(at: number): number {
    return this.tables[this.#source.indexes.get(at)!]!;
  }

  /**
   * Turns the entries of an L2 table of the old image into those of the new one, in place.
   *
   * @param isActive whether the COPIED flags mean anything.
   */
  renew(words: Uint32Array, isActive: boolean): void {
    const { stride } = this.#source.scan;
    for (let i = 0; i < words.length; i += stride) {
      if ((words[i]! & COMPRESSED) !== 0) this.#renewPacked(words, i, isActive);
      else if (holdsData(words, i, stride)) this.#renewCluster(words, i, isActive);
      else this.#renewZero(words, i, stride);
    }
  }

  #renewCluster(words: Uint32Array, i: number, isActive: boolean): void {
    const { clusterBytes } = this.#rules.geometry;
    const cluster = this.#survey.standsFor(offsetOf(words[i]!, words[i + 1]!) / clusterBytes);
    const bytes = this.#packedBytes?.[cluster] ?? 0;
    this.#set(words, i, this.#places[cluster]!, bytes, isActive, words[i + 3]!);
  }

  #renewPacked(words: Uint32Array, i: number, isActive: boolean): void {
    const { packed } = this.#survey;
    const { clusterBits } = this.#rules.geometry;
    const index = packed.indexOf(compressedExtent(words[i]!, words[i + 1]!, clusterBits).at);
    const at = this.#placesOfPacked[index]!;
    this.#set(words, i, at, this.#bytesOfPacked[index]!, isActive, ALL_SUBCLUSTERS);
  }

  /** @param allocated of an extended entry: the subclusters that have data. */
  #set(
    words: Uint32Array,
    i: number,
    at: number,
    packedBytes: number,
    isActive: boolean,
    allocated: number,
  ): void {
    const { clusterBits, clusterBytes } = this.#rules.geometry;
    const isExtended = this.#source.scan.stride === 4;
    if (at === LEFT_OUT) {
      words[i] = 0;
      words[i + 1] = isExtended || this.#rules.zerosUnallocated ? 0 : ZERO_FLAG;
      if (isExtended) this.#setZeroBits(words, i, (words[i + 2]! | allocated) >>> 0);
      return;
    }
    if (packedBytes > 0) {
      words.set(compressedEntry(at, packedBytes, clusterBits), i);
      if (isExtended) words.fill(0, i + 2, i + 4);
      return;
    }
    const isOnly = isActive && this.clusters.count(at / clusterBytes) === 1;
    words[i] = ((isOnly ? COPIED : 0) | Math.floor(at / HIGH_WORD)) >>> 0;
    words[i + 1] = at >>> 0;
    if (isExtended) words[i + 3] = allocated;
  }

  /** Entries that lead to no data have no cluster in the new image. */
  #renewZero(words: Uint32Array, i: number, stride: number): void {
    words[i] = 0;
    if (stride === 4) {
      words[i + 1] = 0;
      this.#setZeroBits(words, i, words[i + 2]!);
    } else {
      words[i + 1] = this.#rules.zerosUnallocated ? 0 : words[i + 1]! & ZERO_FLAG;
    }
  }

  #setZeroBits(words: Uint32Array, i: number, zeros: number): void {
    words[i + 2] = this.#rules.zerosUnallocated ? 0 : zeros;
    words[i + 3] = 0;
  }
}
