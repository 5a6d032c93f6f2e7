import { visitBitmapEntries } from './bitmap-tables.js';
import type { OpenImage } from '../image/image.js';
import { expectReads } from '../io/watched.js';
import { visitL1Tables } from './l1-tables.js';
import { walkStoredTables } from './tables.js';
import type { PersistentBitmap } from '../qcow2/bitmap-directory.js';
import type { L1Ref } from '../qcow2/header.js';
import type { Snapshot } from '../qcow2/snapshot-table.js';
import { ACTIVE_DISK, type DiskNumber } from './disk-sets.js';
import { PointerCollector, type Pointers } from './pointers.js';

/**
 * The one walk over all tables that refer to clusters. First come the L1 tables: they give the L2 tables and the disks
 * that point at each. Then comes each L2 table once, however many L1 tables share it, then the tables of bitmaps. The
 * other references are known without reading: `metadataRegions`.
 *
 * ```
 * disks        L1 tables      L2 tables        clusters
 * active   ──► [a b . c] ──┬► a ──────────────► ▪▪▪ ▪
 * snapshot ──► [a b d .] ──┴► b   c   d ──────► ▪▪ ▪▪▪
 *          walkL1Tables ──►  pointers  ──► walkReferences
 * ```
 */

/** A disk whose L1 table is walked. */
export interface WalkedDisk {
  readonly number: DiskNumber;
  readonly l1: L1Ref;
  /** Undefined: the active disk. */
  readonly snapshot: Snapshot | undefined;
}

/** The active disk and those of the snapshots, in the order of the snapshot table. */
export function disksOf({
  header,
  snapshots,
}: Pick<OpenImage, 'header' | 'snapshots'>): WalkedDisk[] {
  return [
    { number: ACTIVE_DISK, l1: header.activeL1, snapshot: undefined },
    ...snapshots.map((snapshot) => {
      return { number: snapshot.index + 1, l1: snapshot.l1, snapshot };
    }),
  ];
}

/**
 * Reads the L1 tables of disks and collects who points at which L2 table.
 *
 * @param visit gets each table in host order, which it may change and keep, and adds the pointers that are to be
 *   followed; without it all entries that have an offset are.
 */
export async function walkL1Tables(
  { source }: Pick<OpenImage, 'source'>,
  disks: readonly WalkedDisk[],
  visit: (disk: WalkedDisk, words: Uint32Array, pointers: PointerCollector) => void = followAll,
): Promise<Pointers> {
  const pointers = new PointerCollector();
  const refs = disks.map(({ l1 }) => l1);
  await visitL1Tables(source, refs, (position, words) => {
    visit(disks[position]!, words, pointers);
  });
  return pointers.finish();
}

function followAll({ number }: WalkedDisk, words: Uint32Array, pointers: PointerCollector): void {
  pointers.addTable(number, words);
}

/** What the second part of the walk goes through. */
export interface WalkedTables {
  /** Host offsets of the L2 tables. */
  readonly offsets: Float64Array;
  /** The order to read them in, as indexes; undefined: as they come, which reads fastest where they ascend. */
  readonly order?: Int32Array | undefined;
}

/** Told of all that refers to clusters. All of it is synchronous. */
export interface ReferenceVisitor {
  /**
   * An L2 table, in the bytes of the file, big-endian.
   *
   * @param index in `offsets`.
   * @param stored only lent; may be changed.
   * @param before how many tables came before.
   */
  l2Table(index: number, stored: Uint32Array, before: number): void;
  /** An entry of a bitmap table that is not 0: its words, and where it lies. */
  bitmapEntry?(high: number, low: number, at: number, bitmap: PersistentBitmap): void;
}

/**
 * Reads L2 tables, in large batches, and the tables of bitmaps.
 *
 * @throws QsnapError what reading throws, and what the visitor throws.
 */
export async function walkReferences(
  image: OpenImage,
  { offsets, order }: WalkedTables,
  visitor: ReferenceVisitor,
): Promise<void> {
  expectReads(image.source, offsets.length * image.geometry.clusterBytes);
  const inOrder = order === undefined ? offsets : Float64Array.from(order, (i) => offsets[i]!);
  await walkStoredTables(image.source, inOrder, image.geometry.clusterBytes, (before, stored) => {
    visitor.l2Table(order === undefined ? before : order[before]!, stored, before);
  });
  if (visitor.bitmapEntry === undefined) return;
  await visitBitmapEntries(image, image.bitmaps, (high, low, at, bitmap) => {
    visitor.bitmapEntry!(high, low, at, bitmap);
  });
}
