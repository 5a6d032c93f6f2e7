import { hasSameBytes, sameWords } from '../../base/bytes.js';
import { HIGH_WORD } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import { COPIED, OFFSET_LOW, offsetOf } from '../../l1l2/entry.js';
import { indexOfOffset } from '../../refs/pointers.js';
import type { MovedClusters } from '../../l1l2/moved.js';
import type { L1Ref } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import { encodeSnapshotTable } from '../../qcow2/snapshot-table.js';
import type { FlaggedTables, NewTables, WithoutZeros } from '../tables/table-content.js';
import type { AuditedEdit } from './audit.js';
import type { Ledger } from './ledger.js';
import type { NextState } from './next-state.js';

/** Where the header leads after an edit. */
export interface Placed {
  readonly activeL1: L1Ref;
  readonly snapshotTable: { readonly at: number; readonly count: number };
}

/** L2 tables that an edit writes. */
export interface WrittenL2Tables {
  /** Indexes in the tally of tables that need a copy. */
  readonly copied: readonly number[];
  readonly added: NewTables;
  /** Clusters that lie elsewhere; tables that lead to them are among `copied`. */
  readonly moved?: MovedClusters | undefined;
  /** For the tables of `copied`, in their order. */
  readonly zeros?: WithoutZeros | undefined;
}

/** Where an L2 table lies after the edit, for L1 tables that the edit writes. */
type Relocate = (offset: number) => number;

/**
 * Places copies of L2 tables, the L1 tables and the snapshot table into free clusters and releases
 * the old ones. Refcounts of L2 tables move here; those of guest data have moved before.
 *
 * @param listed where the new snapshot table lies already; dropped L1s are released then, too.
 */
export function placeTables(
  edit: AuditedEdit,
  { copied, added, moved, zeros }: WrittenL2Tables,
  ledger: Ledger,
  listed?: Placed['snapshotTable'],
): Placed {
  const { tables } = added;
  const newPlaces = ledger.placeL2Tables(tables.length, { sources: undefined, content: added });
  const copies = ledger.placeL2Tables(copied.length, {
    sources: Float64Array.from(copied, (index) => edit.tally.offsets[index]!),
    content: { ...flaggedTables(edit, copied), moved, zeros },
  });
  const relocate = countL2Tables(edit, copied, copies, ledger);
  const pointersOf = new Map<number | undefined, Pointer[]>();
  for (const [i, { snapshot, l1Index }] of tables.entries()) {
    const pointers = pointersOf.get(snapshot) ?? [];
    pointersOf.set(snapshot, pointers);
    pointers.push({ l1Index, at: newPlaces[i]! });
  }
  const pointers = pointersOf.get(undefined) ?? [];
  const activeL1 = placeActiveL1(edit, { relocate, pointers }, ledger);
  const refs = edit.next.snapshots.map(({ l1 }, position) => {
    if (l1.kind === 'kept') return l1.ref;
    const words = relocatedL1(l1.words, relocate, () => false);
    for (const pointer of pointersOf.get(position) ?? []) setPointer(words, pointer, 0);
    return ledger.placeL1('inactive L1', words);
  });
  if (listed !== undefined) return { activeL1, snapshotTable: listed };
  releaseDroppedL1s(edit, ledger);
  const snapshotTable = placeSnapshotTable(edit, refs, ledger);
  return { activeL1, snapshotTable };
}

/**
 * Counts pointers to L2 tables as they will be. L1 tables that the edit writes point at the copy;
 * those that stay point at the original.
 */
export function countL2Tables(
  { image, tally }: AuditedEdit,
  copied: readonly number[],
  copies: Float64Array,
  ledger: Ledger,
): Relocate {
  const { offsets, before, kept, written } = tally;
  const { clusterBytes } = image.geometry;
  const copyOf = new Float64Array(offsets.length);
  copied.forEach((index, i) => {
    copyOf[index] = copies[i]!;
    // Placing the copy gave it its first reference.
    ledger.change(copies[i]! / clusterBytes, written[index]! - 1);
  });
  for (let index = 0; index < offsets.length; index++) {
    const stays = copyOf[index] === 0 ? kept[index]! + written[index]! : kept[index]!;
    ledger.changeMetadata(offsets[index]! / clusterBytes, stays - before[index]!);
  }
  return (offset) => {
    const copy = copyOf[indexOfOffset(offsets, offset)]!;
    return copy === 0 ? offset : copy;
  };
}

/** L2 tables with the COPIED flags that the counts will ask for. @param indexes in the tally. */
export function flaggedTables(
  { scan, counts, tally: { kept, written } }: AuditedEdit,
  indexes: readonly number[],
): FlaggedTables {
  // Data under a table that two L1s point at is shared whatever its count will become.
  const isShared = Uint8Array.from(indexes, (index) => +(kept[index]! + written[index]! > 1));
  return { kind: 'flags', scan, counts, isShared };
}

/** What the active L1 points at: tables that were there before, and new ones. */
interface ActivePointers {
  readonly relocate: Relocate;
  readonly pointers: readonly Pointer[];
}

/** An L1 entry, and the host offset of the L2 table that it is to point at. */
interface Pointer {
  readonly l1Index: number;
  readonly at: number;
}

function placeActiveL1(
  { image, next, activeL1 }: AuditedEdit,
  { relocate, pointers }: ActivePointers,
  ledger: Ledger,
): L1Ref {
  const old = image.header.activeL1;
  if (next.activeL1 === undefined) return old;
  const { clusterBytes } = image.geometry;
  const words = relocatedL1(next.activeL1, relocate, (offset) => {
    return ledger.counts.get(offset / clusterBytes) === 1;
  });
  for (const pointer of pointers) setPointer(words, pointer, COPIED);
  if (sameWords(words, activeL1) && !mustGo(old.at, old.entries * 8, next)) return old;
  const ref = ledger.placeL1('active L1', words);
  ledger.release(old.at, old.entries * 8);
  return ref;
}

/** L1 entries that point where the L2 tables will be, with the COPIED flags that belong to them. */
export function relocatedL1(
  entries: Uint32Array,
  relocate: Relocate,
  isCopied: (offset: number) => boolean,
): Uint32Array {
  const words = new Uint32Array(entries.length);
  for (let i = 0; i < entries.length; i += 2) {
    const offset = offsetOf(entries[i]!, entries[i + 1]!);
    if (offset === 0) continue;
    const at = relocate(offset);
    setPointer(words, { l1Index: i / 2, at }, isCopied(at) ? COPIED : 0);
  }
  return words;
}

function setPointer(words: Uint32Array, { l1Index, at }: Pointer, flag: number): void {
  words[2 * l1Index] = Math.floor(at / HIGH_WORD) | flag;
  words[2 * l1Index + 1] = at & OFFSET_LOW;
}

/** Releases the L1 tables of snapshots that the new state no longer has. */
export function releaseDroppedL1s({ image, next }: AuditedEdit, ledger: Ledger): void {
  const kept = new Set(next.snapshots.flatMap(({ l1 }) => (l1.kind === 'kept' ? [l1.index] : [])));
  for (const { index, l1 } of image.snapshots) {
    if (!kept.has(index)) ledger.release(l1.at, l1.entries * 8);
  }
}

function placeSnapshotTable(
  { image, next }: AuditedEdit,
  refs: readonly L1Ref[],
  ledger: Ledger,
): Placed['snapshotTable'] {
  const { header, snapshots, snapshotTableBytes } = image;
  const old = header.snapshotTable;
  const bytes = encodeSnapshotTable(
    next.snapshots.map(({ entry }, i) => ({ ...entry, l1: refs[i]! })),
  );
  const isSame = hasSameBytes(bytes, encodeSnapshotTable(snapshots));
  if (isSame && !mustGo(old.at, snapshotTableBytes, next)) return old;
  refuseOversizedTable(bytes.length);
  ledger.release(old.at, snapshotTableBytes);
  if (next.snapshots.length === 0) return { at: 0, count: 0 };
  return { at: ledger.placeBytes('snapshot table', bytes), count: next.snapshots.length };
}

/** Whether a table that stays as it is gets another place. */
function mustGo(at: number, bytes: number, { clearFrom = Infinity }: NextState): boolean {
  return at + bytes > clearFrom;
}

function refuseOversizedTable(bytes: number): void {
  const max = LIMITS.snapshotTableBytesMax.value;
  if (bytes <= max) return;
  throw new QsnapError('LIMIT_EXCEEDED', `the snapshot table would grow to ${bytes} bytes`, {
    structure: 'snapshot table',
    expected: `at most ${max} bytes`,
    actual: `${bytes} bytes`,
    hint: 'delete snapshots first',
  });
}
