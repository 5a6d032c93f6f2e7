import { roundUp } from '../../base/units.js';
import { wordsInPlace } from '../../base/words.js';
import { COMPRESSED, compressedExtent, offsetOf, ZERO_FLAG } from '../../l1l2/entry.js';
import { l1EntriesFor, type Geometry } from '../../qcow2/geometry.js';
import type { SourceTables } from './source-tables.js';
import type { Survey } from './survey.js';

/**
 * The disks of an image in clusters of another size, or with other L2 entries: for each new L2 table, from which
 * stretches of the old file its clusters are made.
 */

/** Guest bytes that the old image keeps in one way. */
export interface Piece {
  /** `none`: the image says nothing of them. */
  readonly kind: 'none' | 'zero' | 'data' | 'packed';
  /** Of `data` the host offset, of `packed` the index of the compressed cluster; else 0. */
  readonly at: number;
  /** Of `packed`: bytes of the unpacked cluster before them; else 0. */
  readonly skip: number;
  readonly length: number;
}

/** A guest cluster of the new image that the old one says something of. */
export interface NewCluster {
  /** Of the L2 entry. */
  readonly entry: number;
  /** In order; as long as a cluster together. */
  readonly pieces: readonly Piece[];
  /** The same for the same pieces. */
  readonly key: string;
}

/** An L2 table of the new image. */
export interface NewTable {
  /** Which guest bytes of the old address space it maps: a disk whose tables have them, and from where to where. */
  readonly disk: number;
  readonly from: number;
  readonly to: number;
  /** How many new L1 entries lead to it. */
  pointers: number;
  isActive: boolean;
}

/** The new L2 tables, and the L1 tables that lead to them. */
export interface NewTables {
  /** In guest order of the active disk, then what only later disks have. */
  readonly tables: readonly NewTable[];
  /** By disk: an index for each L1 entry; -1: none. */
  readonly l1s: readonly Int32Array[];
}

/** Finds out which new L2 tables there are, and which of them several disks share. */
export function newTablesOf(source: SourceTables, geometry: Geometry): NewTables {
  const old = source.format.geometry;
  const known = new Map<string, number>();
  const tables: NewTable[] = [];
  const l1s = source.disks.map(({ snapshot, diskSizeBytes, l1 }, disk) => {
    const dataEnd = l1EntriesFor(diskSizeBytes, old) * old.l2CoverageBytes;
    const end = (l1.length / 2) * old.l2CoverageBytes;
    const hasVmState = (snapshot?.vmStateBytes ?? 0) > 0 && end > dataEnd;
    const spans: number[] = [];
    const add = (from: number, to: number): void => {
      const key = keyOfRange(l1, from, to, old);
      if (key === undefined) {
        spans.push(-1);
        return;
      }
      const index = known.get(key) ?? tables.length;
      known.set(key, index);
      tables[index] ??= { disk, from, to, pointers: 0, isActive: false };
      tables[index].pointers += 1;
      tables[index].isActive ||= snapshot === undefined;
      spans.push(index);
    };
    const step = geometry.l2CoverageBytes;
    // Of smaller clusters those behind the end would be taken for a sign of a lost size.
    const lastByte = roundUp(diskSizeBytes, Math.min(old.clusterBytes, geometry.clusterBytes));
    const tablesOfDisk = l1EntriesFor(diskSizeBytes, geometry);
    for (let i = 0; i < tablesOfDisk; i++) add(i * step, Math.min((i + 1) * step, lastByte));
    // VM state begins behind the last table of the disk, wherever that ends.
    if (hasVmState) {
      for (let from = dataEnd; from < end; from += step) add(from, Math.min(from + step, end));
    }
    return Int32Array.from(spans);
  });
  return { tables, l1s };
}

/** What tells apart what two L1 tables have in a range; undefined where there is nothing. */
function keyOfRange(
  l1: Uint32Array,
  from: number,
  to: number,
  { l2CoverageBytes }: Geometry,
): string | undefined {
  const offsets: number[] = [];
  for (let at = from; at < to; at = (Math.floor(at / l2CoverageBytes) + 1) * l2CoverageBytes) {
    const word = Math.floor(at / l2CoverageBytes) * 2;
    offsets.push(word < l1.length ? offsetOf(l1[word]!, l1[word + 1]!) : 0);
  }
  if (offsets.every((offset) => offset === 0)) return undefined;
  return `${from % l2CoverageBytes}+${to - from}:${offsets.join()}`;
}

/** Old L2 tables that are kept in memory. */
const TABLES_KEPT = 8;

/** Reads the old tables for the new ones. */
export class Regrid {
  readonly #source: SourceTables;
  readonly #survey: Survey;
  readonly #geometry: Geometry;
  readonly #loaded = new Map<number, Uint32Array>();

  /** @param survey whose stand-ins are taken for what they stand for. */
  constructor(source: SourceTables, survey: Survey, geometry: Geometry) {
    this.#source = source;
    this.#survey = survey;
    this.#geometry = geometry;
  }

  /** The clusters of a new table of which the old image says anything, ascending, in portions. */
  async *clustersOf({ disk, from, to }: NewTable): AsyncGenerator<readonly NewCluster[]> {
    const { geometry: old } = this.#source.format;
    const { clusterBytes } = this.#geometry;
    const { l1 } = this.#source.disks[disk]!;
    let pieces: Piece[] = [];
    for (let at = from; at < to;) {
      const index = Math.floor(at / old.l2CoverageBytes);
      const end = Math.min(to, (index + 1) * old.l2CoverageBytes);
      const tableAt = 2 * index < l1.length ? offsetOf(l1[2 * index]!, l1[2 * index + 1]!) : 0;
      if (tableAt === 0 && pieces.length === 0) {
        // Nothing is in whole clusters of a table that is not there.
        const whole = at + Math.floor((end - at) / clusterBytes) * clusterBytes;
        if (whole > at) {
          at = whole;
          continue;
        }
      }
      const words = tableAt === 0 ? undefined : await this.#load(tableAt);
      const clusters: NewCluster[] = [];
      for (; at < end;) {
        const done = pieces.reduce((sum, { length }) => sum + length, 0);
        const length = Math.min(clusterBytes - done, end - at);
        this.#addPieces(words, at % old.l2CoverageBytes, length, pieces);
        at += length;
        if (done + length < clusterBytes && at < to) continue;
        const first = roundUp(at - from, clusterBytes) - clusterBytes;
        const cluster = newCluster(pieces, first / clusterBytes, clusterBytes);
        if (cluster !== undefined) clusters.push(cluster);
        pieces = [];
      }
      if (clusters.length > 0) yield clusters;
    }
  }

  async #load(at: number): Promise<Uint32Array> {
    const known = this.#loaded.get(at);
    if (known !== undefined) return known;
    const bytes = new Uint8Array(this.#source.format.geometry.clusterBytes);
    await this.#source.image.source.readBatch([{ at, into: bytes }]);
    const words = wordsInPlace(bytes);
    const [oldest] = this.#loaded.keys();
    if (this.#loaded.size === TABLES_KEPT) this.#loaded.delete(oldest!);
    this.#loaded.set(at, words);
    return words;
  }

  /** @param from from the first byte that the old table maps. */
  #addPieces(words: Uint32Array | undefined, from: number, length: number, to: Piece[]): void {
    if (words === undefined) {
      addPiece(to, { kind: 'none', at: 0, skip: 0, length });
      return;
    }
    const { stride } = this.#source.scan;
    const { clusterBytes } = this.#source.format.geometry;
    const unitBytes = stride === 4 ? clusterBytes / 32 : clusterBytes;
    for (let at = from; at < from + length;) {
      const end = Math.min(from + length, (Math.floor(at / unitBytes) + 1) * unitBytes);
      addPiece(to, this.#pieceAt(words, at, end - at));
      at = end;
    }
  }

  #pieceAt(words: Uint32Array, from: number, length: number): Piece {
    const { scan, format } = this.#source;
    const { clusterBytes, clusterBits } = format.geometry;
    const i = Math.floor(from / clusterBytes) * scan.stride;
    const skip = from % clusterBytes;
    const [high, low] = [words[i]!, words[i + 1]!];
    if ((high & COMPRESSED) !== 0) {
      const at = this.#survey.packed.indexOf(compressedExtent(high, low, clusterBits).at);
      return { kind: 'packed', at, skip, length };
    }
    const offset = offsetOf(high, low);
    const sub = Math.floor((skip * 32) / clusterBytes);
    const isExtended = scan.stride === 4;
    const isZero = isExtended ? ((words[i + 2]! >>> sub) & 1) !== 0 : (low & ZERO_FLAG) !== 0;
    if (isZero) return { kind: 'zero', at: 0, skip: 0, length };
    const isData = offset !== 0 && (!isExtended || ((words[i + 3]! >>> sub) & 1) !== 0);
    if (!isData) return { kind: 'none', at: 0, skip: 0, length };
    const at = this.#survey.standsFor(offset / clusterBytes) * clusterBytes + skip;
    return { kind: 'data', at, skip: 0, length };
  }
}

/** Adds a piece to those before it, of which the last one may go on with it. */
function addPiece(pieces: Piece[], piece: Piece): void {
  const last = pieces.at(-1);
  const { kind, at, skip, length } = piece;
  const goesOn =
    last?.kind === kind &&
    (kind === 'data'
      ? last.at + last.length === at
      : last.at === at && (kind !== 'packed' || last.skip + last.length === skip));
  if (goesOn) pieces[pieces.length - 1] = { ...last, length: last.length + length };
  else pieces.push(piece);
}

/** The cluster of some pieces, filled up with zeros where the disk ends before; undefined where nothing is in it. */
function newCluster(pieces: Piece[], entry: number, clusterBytes: number): NewCluster | undefined {
  if (pieces.every(({ kind }) => kind === 'none')) return undefined;
  const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
  if (bytes < clusterBytes) {
    addPiece(pieces, { kind: 'zero', at: 0, skip: 0, length: clusterBytes - bytes });
  }
  const key = pieces.map(({ kind, at, skip, length }) => `${kind}${at}.${skip}.${length}`).join();
  return { entry, pieces, key };
}
