import { counted } from '../../base/text.js';
import { roundUp } from '../../base/units.js';
import { hex } from '../../base/words.js';
import type { OpenImage } from '../../image/image.js';
import { visitL1Tables } from '../../refs/l1-tables.js';
import { offsetOf } from '../../l1l2/entry.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import { decodeRefcounts } from '../../refcount/block.js';
import type { FindingCode } from './catalog.js';
import type { FindingCollector, Found } from './collector.js';
import { holdsCluster } from './packed-end.js';
import type { StoredRefcountTable } from './stored-refcount-table.js';

/** Stretches past the end of the file that are kept; a file may have lost millions. */
const KEPT_MAX = 4096;
/** Pointers to one table that are followed to the disks: there may be any number of them. */
const PLACES_MAX = 64;
/** Guest ranges that the finding names. */
const NAMED_MAX = 8;
/**
 * Where no refcount can be read: a place counts as cut off only up to this many times the length of the file. A
 * place farther away is a wrong pointer.
 */
const LOST_TIMES_MAX = 16;
/** A compressed cluster may end anywhere in its last sector, so a file may lack the rest of it. */
const SECTOR_BYTES = 512;
/** Compressed clusters in the last sector that are unpacked to see; there may be hundreds. */
const UNPACKED_MAX = 64;

/** A stretch that something names and that does not lie in the file as a whole. */
interface Stretch {
  readonly at: number;
  readonly bytes: number;
  /** Of these, bytes up to the last that holds anything. */
  readonly needed: number;
  readonly what: string;
  /** For guest data: the offset of the L2 entry that names it. */
  readonly entryAt: number | undefined;
  readonly isCompressed: boolean;
}

/** A table or guest data that the file has lost with its end. */
interface Missing {
  readonly what: string;
  /** Whether the file still has its beginning, in its last cluster. */
  readonly isPart: boolean;
  readonly bytes: number;
  readonly guest: GuestRange | undefined;
}

/** Bytes of a virtual disk; `snapshot` is the index of the snapshot, undefined for the active disk. */
interface GuestRange {
  readonly snapshot: number | undefined;
  readonly from: number;
  readonly to: number;
}

/** The words for a structure that the file still has the beginning of. The entry that names it is right. */
export const partOf = (what: string): string => `a part of ${what}`;

const KIND_OF_CODE: Partial<Record<FindingCode, string>> = {
  L1_ENTRY_PAST_END: 'L2 tables',
  L2_ENTRY_PAST_END: 'guest data',
  REFCOUNT_BLOCK_PAST_END: 'refcount blocks',
  BITMAP_TABLE_ENTRY_INVALID: 'bitmap data',
};

/**
 * Collects stretches that reach past the end of the file. `judge` then tells whether the file was cut off.
 *
 * A sound file may end inside its last cluster. A table in that cluster needs only the table's own bytes, guest
 * data only the bytes up to the end of the disk. A stretch behind the end whose refcount is 0 was never there:
 * then the pointer is wrong, and has a finding of its own.
 */
export class CutOff {
  readonly #image: OpenImage;
  readonly #stretches: Stretch[] = [];
  readonly #seen = new Set<string>();
  #leftOut = 0;
  #unpacked = 0;

  constructor(image: OpenImage) {
    this.#image = image;
  }

  /** Something names `bytes` bytes at host offset `at`, of which not all are in the file. */
  add(at: number, bytes: number, code: FindingCode, where: () => Found): void {
    if (this.#stretches.length >= KEPT_MAX) {
      this.#leftOut += 1;
      return;
    }
    const { structure, at: namedAt, facts } = where();
    const what = KIND_OF_CODE[code] ?? structure;
    const isData = what === 'guest data';
    // What reads as zeros whatever lies there is not missed.
    if (isData && facts?.['zero'] === true && this.#image.header.version === 3) return;
    const key = isData ? `${namedAt}` : `${what}@${at}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    const needed = isData ? Math.min(bytes, Number(facts?.['needed'] ?? bytes)) : bytes;
    const isCompressed = facts?.['compressed'] === true;
    const entryAt = isData ? namedAt : undefined;
    this.#stretches.push({ at, bytes, needed, what, entryAt, isCompressed });
  }

  /** The kinds of missing structures. Empty until `judge` has run. */
  missing: readonly string[] = [];

  /** Adds the finding where the file was cut off. */
  async judge(table: StoredRefcountTable, to: FindingCollector): Promise<void> {
    if (this.#stretches.length === 0) return;
    const missing: Missing[] = [];
    const places = await this.#guestPlaces();
    const stored = new Map<number, Uint32Array>();
    for (const stretch of this.#stretches) {
      const lacks = (await this.#isWhole(stretch)) ? [] : this.#missingOf(stretch, places);
      if (lacks.length > 0 && (await this.#wasThere(stretch, table, stored)))
        missing.push(...lacks);
    }
    if (missing.length === 0) return;
    const kinds = missing.map(({ what, isPart }) => (isPart ? partOf(what) : what));
    this.missing = [...new Set(kinds)];
    const bytes = missing.reduce((sum, one) => sum + one.bytes, 0);
    const at = this.#image.fileSizeBytes;
    const facts = { bytes, what: this.#told(missing) };
    const isOfRefcounts = missing.every(
      ({ what }) => what.startsWith('refcount-') || what === 'refcount blocks',
    );
    if (isOfRefcounts) to.add('REFCOUNTS_CUT_OFF', { structure: 'refcount-table', at, facts });
    else to.add('FILE_CUT_OFF', { structure: 'file', at, facts });
  }

  /** Whether a compressed cluster has all its bytes, though not all of its last sector is there. */
  async #isWhole(stretch: Stretch): Promise<boolean> {
    const { source, fileSizeBytes: end, geometry, header } = this.#image;
    const { at, bytes, isCompressed } = stretch;
    if (!isCompressed || at >= end || at + bytes - end >= SECTOR_BYTES) return false;
    if (this.#unpacked >= UNPACKED_MAX) return true;
    this.#unpacked += 1;
    const packed = new Uint8Array(end - at);
    await source.readBatch([{ at, into: packed }]);
    return holdsCluster(header.compressionType, packed, geometry.clusterBytes);
  }

  #missingOf(stretch: Stretch, places: ReadonlyMap<number, readonly GuestPlace[]>): Missing[] {
    const end = this.#image.fileSizeBytes;
    const { at, bytes, needed: most, what, entryAt, isCompressed } = stretch;
    const { clusterBytes } = this.#image.geometry;
    const isOfTree = entryAt !== undefined || what === KIND_OF_CODE.L1_ENTRY_PAST_END;
    const isPart = isOfTree && at + bytes <= roundUp(end, clusterBytes);
    if (entryAt === undefined) {
      return [{ what, isPart, bytes: at + bytes - Math.max(at, end), guest: undefined }];
    }
    const found = places.get(entryAt) ?? [];
    return found.flatMap(({ snapshot, from, neededBytes }): Missing[] => {
      const needed = isCompressed ? bytes : Math.min(most, neededBytes);
      const lacks = at + needed - Math.max(at, end);
      if (lacks <= 0) return [];
      const guest = { snapshot, from, to: from + Math.min(clusterBytes, neededBytes) };
      return [{ what, isPart, bytes: lacks, guest }];
    });
  }

  /** Where the guest data of the stretches lies on the disks that have it. */
  async #guestPlaces(): Promise<ReadonlyMap<number, readonly GuestPlace[]>> {
    const { clusterBytes, l2EntryBytes, l2CoverageBytes } = this.#image.geometry;
    const entries = new Map<number, number[]>();
    for (const { entryAt } of this.#stretches) {
      if (entryAt === undefined) continue;
      const tableAt = Math.floor(entryAt / clusterBytes) * clusterBytes;
      addTo(entries, tableAt, entryAt);
    }
    const places = new Map<number, GuestPlace[]>();
    if (entries.size === 0) return places;
    const pointers = new Map<number, number>();
    const { header, snapshots } = this.#image;
    const disks = [
      { l1: header.activeL1, snapshot: undefined, bytes: header.diskSizeBytes },
      ...snapshots.map(({ l1, index, diskSizeBytes }) => {
        return { l1, snapshot: index, bytes: diskSizeBytes };
      }),
    ];
    await visitL1Tables(
      this.#image.source,
      disks.map(({ l1 }) => l1),
      (position, words) => {
        const { snapshot, bytes } = disks[position]!;
        const vmStateFrom = l1EntriesFor(bytes, this.#image.geometry) * l2CoverageBytes;
        for (let i = 0; i < words.length; i += 2) {
          const tableAt = offsetOf(words[i]!, words[i + 1]!);
          const named = entries.get(tableAt);
          if (named === undefined) continue;
          const seen = pointers.get(tableAt) ?? 0;
          pointers.set(tableAt, seen + 1);
          if (seen >= PLACES_MAX) continue;
          for (const entryAt of named) {
            const inTable = ((entryAt - tableAt) / l2EntryBytes) * clusterBytes;
            const from = (i / 2) * l2CoverageBytes + inTable;
            // Behind the disk lies the VM state, in whole clusters.
            const neededBytes = from < vmStateFrom ? Math.max(0, bytes - from) : clusterBytes;
            addTo(places, entryAt, { snapshot, from, neededBytes });
          }
        }
      },
    );
    return places;
  }

  /**
   * Whether the stretch was in use, by its refcount. A stretch that begins inside the file was.
   *
   * @param known refcounts by block, as far as they were read.
   */
  async #wasThere(
    { at }: Stretch,
    { blocks }: StoredRefcountTable,
    known: Map<number, Uint32Array>,
  ): Promise<boolean> {
    const { source, fileSizeBytes, geometry } = this.#image;
    if (at < fileSizeBytes) return true;
    const { clusterBytes, refcountBlockEntries, refcountBits } = geometry;
    const cluster = Math.floor(at / clusterBytes);
    const blockAt = blocks[Math.floor(cluster / refcountBlockEntries)] ?? 0;
    if (blockAt === 0 || blockAt >= fileSizeBytes) return at < fileSizeBytes * LOST_TIMES_MAX;
    let stored = known.get(blockAt);
    if (stored === undefined) {
      stored = new Uint32Array(refcountBlockEntries);
      const bytes = new Uint8Array(clusterBytes);
      await source.readBatch([{ at: blockAt, into: bytes }]);
      decodeRefcounts(bytes, refcountBits, stored);
      // One block at a time: stretches come in the order of the tables that name them.
      known.clear();
      known.set(blockAt, stored);
    }
    return stored[cluster % refcountBlockEntries]! > 0;
  }

  #told(missing: readonly Missing[]): string {
    const byWhat = new Map<string, number>();
    for (const { what, bytes } of missing) byWhat.set(what, (byWhat.get(what) ?? 0) + bytes);
    const parts = [...byWhat].map(([what, bytes]) => `${what} (${counted(bytes, 'byte')})`);
    const ranges = missing.flatMap(({ guest }) => (guest === undefined ? [] : [guestText(guest)]));
    const named = ranges.slice(0, NAMED_MAX);
    const more = ranges.length - named.length + this.#leftOut;
    if (more > 0) named.push(`${more} more`);
    return parts.join(', ') + (named.length === 0 ? '' : `; on the disks ${named.join(', ')}`);
  }
}

/** A place on a virtual disk, and how many bytes of the disk there are from it on. */
interface GuestPlace {
  readonly snapshot: number | undefined;
  readonly from: number;
  readonly neededBytes: number;
}

function addTo<T>(map: Map<number, T[]>, key: number, value: T): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, [value]);
  else values.push(value);
}

function guestText({ snapshot, from, to }: GuestRange): string {
  const disk = snapshot === undefined ? 'active' : `snapshot ${snapshot}`;
  return `${disk} ${hex(from)} to ${hex(to)}`;
}
