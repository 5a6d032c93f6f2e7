import { hasSameBytes, sameWords } from '../../base/bytes.js';
import { HIGH_WORD, storedWords } from '../../base/words.js';
import { QsnapError } from '../../errors.js';
import { COPIED, OFFSET_LOW, offsetOf } from '../../l1l2/entry.js';
import { newRuns } from '../../l1l2/runs.js';
import { clearStoredCopied, setStoredCopied } from '../../l1l2/stored-scan.js';
import { indexOfOffset } from '../../refs/pointers.js';
import type { L1Ref } from '../../qcow2/header.js';
import { LIMITS } from '../../qcow2/limits.js';
import { encodeSnapshotTable } from '../../qcow2/snapshot-table.js';
import type { ShadowWrite, TableWrites } from '../tx/plan.js';
import type { Audit } from './audit.js';
import type { Ledger } from './ledger.js';
import type { NextState } from './next-state.js';
import { newTableFill, type NewTables } from './new-tables.js';
import { Placer } from './placer.js';
import type { Survey } from './survey.js';

/** New places of the tables that an edit writes, and the writes that put them there. */
export interface Placed {
  readonly activeL1: L1Ref;
  readonly snapshotTable: { readonly at: number; readonly count: number };
  readonly shadow: readonly ShadowWrite[];
}

/** L2 tables that an edit writes. */
export interface WrittenL2Tables {
  /** Indexes in the tally of tables that need a copy. */
  readonly copied: readonly number[];
  readonly added: NewTables;
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
  from: Survey,
  next: NextState,
  audited: Audit,
  { copied, added }: WrittenL2Tables,
  ledger: Ledger,
  listed?: Placed['snapshotTable'],
): Placed {
  const placer = new Placer(ledger, from.image.geometry.clusterBytes);
  placer.add(...added.dataWrites);
  const fillNew = newTableFill(added, audited, ledger);
  const newPlaces = placer.l2Tables(added.tables.length, undefined, fillNew);
  const sources = Float64Array.from(copied, (index) => from.tally.offsets[index]!);
  const fillCopy = copiedFlags(from, audited, copied, ledger);
  const copies = placer.l2Tables(copied.length, sources, fillCopy);
  const relocate = countL2Tables(from, copied, copies, ledger);
  const pointers = added.tables.map(({ l1Index }, i) => ({ l1Index, at: newPlaces[i]! }));
  const activeL1 = placeActiveL1(from, next, { relocate, pointers }, placer);
  const refs = next.snapshots.map(({ l1 }) =>
    l1.kind === 'kept'
      ? l1.ref
      : placer.l1(
          'inactive L1',
          relocatedL1(l1.words, relocate, () => false),
        ),
  );
  if (listed !== undefined) return { activeL1, snapshotTable: listed, shadow: placer.writes };
  releaseDroppedL1s(from, next, ledger);
  const snapshotTable = placeSnapshotTable(from, next, refs, placer);
  return { activeL1, snapshotTable, shadow: placer.writes };
}

/**
 * Counts pointers to L2 tables as they will be. L1 tables that the edit writes point at the copy;
 * those that stay point at the original.
 */
export function countL2Tables(
  from: Survey,
  copied: readonly number[],
  copies: Float64Array,
  ledger: Ledger,
): Relocate {
  const { offsets, before, kept, written } = from.tally;
  const { clusterBytes } = from.image.geometry;
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

/** Sets the COPIED flags of copied L2 tables to what the counts ask for, in the bytes of the table. */
export function copiedFlags(
  { tally: { kept, written } }: Survey,
  { scan }: Audit,
  copied: readonly number[],
  ledger: Ledger,
): TableWrites['fill'] {
  const runs = newRuns(scan);
  return (i, table) => {
    const index = copied[i]!;
    // Data under a table that two L1s point at is shared whatever its count will become.
    if (kept[index]! + written[index]! > 1) clearStoredCopied(table, scan);
    else setStoredCopied(storedWords(table), scan, ledger.final, runs);
  };
}

/** What the active L1 points at: tables that were there before, and new ones. */
interface ActivePointers {
  readonly relocate: Relocate;
  readonly pointers: readonly { readonly l1Index: number; readonly at: number }[];
}

function placeActiveL1(
  from: Survey,
  next: NextState,
  { relocate, pointers }: ActivePointers,
  placer: Placer,
): L1Ref {
  const old = from.image.header.activeL1;
  if (next.activeL1 === undefined) return old;
  const { clusterBytes } = from.image.geometry;
  const words = relocatedL1(next.activeL1, relocate, (offset) => {
    return placer.ledger.counts.get(offset / clusterBytes) === 1;
  });
  for (const { l1Index, at } of pointers) {
    words[2 * l1Index] = Math.floor(at / HIGH_WORD) | COPIED;
    words[2 * l1Index + 1] = at & OFFSET_LOW;
  }
  if (sameWords(words, from.activeL1)) return old;
  const ref = placer.l1('active L1', words);
  placer.ledger.release(old.at, old.entries * 8);
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
    words[i] = Math.floor(at / HIGH_WORD) | (isCopied(at) ? COPIED : 0);
    words[i + 1] = at & OFFSET_LOW;
  }
  return words;
}

/** Releases the L1 tables of snapshots that the new state no longer has. */
export function releaseDroppedL1s(from: Survey, next: NextState, ledger: Ledger): void {
  const kept = new Set(next.snapshots.flatMap(({ l1 }) => (l1.kind === 'kept' ? [l1.index] : [])));
  for (const { index, l1 } of from.image.snapshots) {
    if (!kept.has(index)) ledger.release(l1.at, l1.entries * 8);
  }
}

function placeSnapshotTable(
  from: Survey,
  next: NextState,
  refs: readonly L1Ref[],
  placer: Placer,
): Placed['snapshotTable'] {
  const { header, snapshots, snapshotTableBytes } = from.image;
  const old = header.snapshotTable;
  const bytes = encodeSnapshotTable(
    next.snapshots.map(({ entry }, i) => ({ ...entry, l1: refs[i]! })),
  );
  if (hasSameBytes(bytes, encodeSnapshotTable(snapshots))) return old;
  refuseOversizedTable(bytes.length);
  placer.ledger.release(old.at, snapshotTableBytes);
  if (next.snapshots.length === 0) return { at: 0, count: 0 };
  return { at: placer.literal('snapshot table', bytes).at, count: next.snapshots.length };
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
