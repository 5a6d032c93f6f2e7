import { sameWords } from '../../base/bytes.js';
import { HIGH_WORD } from '../../base/words.js';
import type { Ledger } from '../plan/ledger.js';
import { QsnapError } from '../../errors.js';
import { visitL1Tables } from '../../refs/l1-tables.js';
import { walkTables } from '../../refs/tables.js';
import { COPIED, OFFSET_HIGH, OFFSET_LOW, offsetOf } from '../../l1l2/entry.js';
import { anyCopiedWrong, type Scan } from '../../l1l2/scan.js';
import { indexOfOffset } from '../../refs/pointers.js';
import type { L1Ref } from '../../qcow2/header.js';
import type { MendedTables } from '../tables/table-content.js';
import type { Counted } from './count.js';
import { mendL1, type MendedTree } from './tree.js';
import type { Moves } from './moves.js';

/** L1 tables that a repair writes anew lie in memory; more bytes than this are refused. */
const L1_BYTES_MAX = 2 ** 30;

/** Where the tables are that the repair moves. */
export interface PlacedTree {
  readonly activeL1: L1Ref;
  /** New places of L1 tables, by index of the snapshot. */
  readonly inactiveL1s: ReadonlyMap<number, L1Ref>;
}

/**
 * Places copies of the L2 tables that move or whose COPIED flags are wrong, then the L1 tables that
 * point at them. The refcounts in the ledger are final for everything but what is placed here.
 */
export async function placeTree(
  tree: MendedTree,
  counted: Counted,
  moves: Moves,
  scan: Scan,
  ledger: Ledger,
): Promise<PlacedTree> {
  const flagged = await tablesWithWrongFlags(tree, counted, moves, scan, ledger);
  const places = placeL2s(tree, counted, moves, flagged, scan, ledger);
  const activeL1 = placeActiveL1(tree, moves, places, ledger);
  const inactiveL1s = await placeInactiveL1s(tree, moves, places, ledger);
  return { activeL1, inactiveL1s };
}

/**
 * Indexes of tables of the active state whose COPIED flags are not what the refcounts ask for.
 * Flags under snapshots mean nothing. Spec: L2 table entry, bit 63.
 */
async function tablesWithWrongFlags(
  tree: MendedTree,
  counted: Counted,
  moves: Moves,
  scan: Scan,
  ledger: Ledger,
): Promise<readonly number[]> {
  const { offsets, active, inactive } = tree.tally;
  // Those of an external data file are right once the tables are mended.
  if (tree.image.header.externalDataFile) return [];
  const wrong: number[] = [];
  const unsure: number[] = [];
  offsets.forEach((_, index) => {
    if (active[index] === 0 || moves.l2s.has(index)) return;
    // What two L1 entries lead to is never counted once: without flags there is nothing to look at.
    const isShared = active[index]! + inactive[index]! > 1;
    if (isShared && counted.hasCopied[index] === 0) return;
    unsure.push(index);
  });
  const at = Float64Array.from(unsure, (index) => offsets[index]!);
  await walkTables(tree.image.source, at, tree.image.geometry.clusterBytes, (i, words) => {
    if (anyCopiedWrong(words, scan, ledger.counts)) wrong.push(unsure[i]!);
  });
  return wrong;
}

interface L2Places {
  /** By index in the tally: host offset of the copy, 0 where there is none. */
  readonly copyOf: Float64Array;
  readonly moved: ReadonlySet<number>;
}

/** Places the copies and moves the refcounts of the tables themselves. */
function placeL2s(
  tree: MendedTree,
  counted: Counted,
  moves: Moves,
  flagged: readonly number[],
  scan: Scan,
  ledger: Ledger,
): L2Places {
  const { offsets, active, inactive } = tree.tally;
  const { clusterBytes } = tree.image.geometry;
  // A table that snapshots have too stays for them: their flags mean nothing.
  const moved = new Set([...moves.l2s, ...flagged.filter((index) => inactive[index] === 0)]);
  const copied = [...new Set([...moved, ...flagged])].sort((a, b) => a - b);
  const copies = ledger.placeL2Tables(copied.length, {
    sources: Float64Array.from(copied, (index) => offsets[index]!),
    content: mendedTables(tree, counted, copied, scan, ledger),
  });
  const copyOf = new Float64Array(offsets.length);
  copied.forEach((index, i) => {
    copyOf[index] = copies[i]!;
    const takes = active[index]! + (moved.has(index) ? inactive[index]! : 0);
    // Placing the copy gave it its first reference.
    ledger.change(copies[i]! / clusterBytes, takes - 1);
    // What moves for its content or its place has given up its references before.
    if (!moves.l2s.has(index)) ledger.changeMetadata(offsets[index]! / clusterBytes, -takes);
  });
  return { copyOf, moved };
}

/** Mends copied tables, and sets the COPIED flags of the active disk's. */
function mendedTables(
  tree: MendedTree,
  counted: Counted,
  copied: readonly number[],
  scan: Scan,
  ledger: Ledger,
): MendedTables {
  const { offsets, active } = tree.tally;
  const { externalDataFile } = tree.image.header;
  const tables = copied.map((index) => ({
    at: offsets[index]!,
    mends: counted.mendedL2s.has(index),
    flags: externalDataFile ? 'all' : active[index] !== 0 ? 'by-counts' : 'as-read',
  })) satisfies MendedTables['tables'];
  return { kind: 'mended', tables, mender: tree.mender, scan, counts: ledger.counts };
}

function placeActiveL1(tree: MendedTree, moves: Moves, places: L2Places, ledger: Ledger): L1Ref {
  const old = tree.image.header.activeL1;
  const { clusterBytes } = tree.image.geometry;
  const words = tree.activeL1.slice();
  for (let i = 0; i < words.length; i += 2) {
    const at = targetOf(words, i, tree, places, () => true) ?? strayTarget(words, i, tree);
    const count = at === undefined ? undefined : countAt(Math.floor(at / clusterBytes), ledger);
    // What lies behind all that is counted keeps the flag it has.
    if (count !== undefined) setEntry(words, i, at!, count === 1 ? COPIED : 0);
  }
  if (sameWords(words, tree.storedActiveL1) && !moves.activeL1) return old;
  const placed = ledger.placeL1('active L1', words);
  if (!moves.activeL1) ledger.release(old.at, old.entries * 8);
  return placed;
}

function countAt(cluster: number, { counts }: Ledger): number | undefined {
  return cluster < counts.clusters ? counts.get(cluster) : undefined;
}

async function placeInactiveL1s(
  tree: MendedTree,
  moves: Moves,
  places: L2Places,
  ledger: Ledger,
): Promise<ReadonlyMap<number, L1Ref>> {
  const placed = new Map<number, L1Ref>();
  const reasons = [places.moved, tree.mendedL1s, moves.inactiveL1s, tree.newL1s];
  if (reasons.every(({ size }) => size === 0)) return placed;
  let bytes = 0;
  const refs = tree.kept.map(({ l1 }) => l1);
  await visitL1Tables(tree.image.source, refs, (position, stored) => {
    const { index, l1 } = tree.kept[position]!;
    const newEntries = tree.newL1s.get(index);
    const words = newEntries === undefined ? stored : new Uint32Array(newEntries * 2);
    if (tree.emptied.has(index)) words.fill(0);
    mendL1(words, l1.at, tree.mender);
    const leaves = newEntries !== undefined || moves.inactiveL1s.has(l1.at);
    const repoints = repointed(words, tree, places);
    if (!leaves && !repoints && !tree.mendedL1s.has(index)) return;
    bytes += words.byteLength;
    if (bytes > L1_BYTES_MAX) throw tooManyL1Bytes();
    placed.set(index, ledger.placeL1('inactive L1', words));
    if (!leaves) ledger.release(l1.at, l1.entries * 8);
  });
  return placed;
}

/** Points entries of a snapshot's L1 at the tables that have moved. Returns whether any did. */
function repointed(words: Uint32Array, tree: MendedTree, places: L2Places): boolean {
  let changed = false;
  for (let i = 0; i < words.length; i += 2) {
    const before = offsetOf(words[i]!, words[i + 1]!);
    const at = targetOf(words, i, tree, places, (index) => places.moved.has(index));
    if (at === undefined || at === before) continue;
    setEntry(words, i, at, 0);
    changed = true;
  }
  return changed;
}

/** Where an L1 entry is to point; undefined for an entry without a table, or with none to be. */
function targetOf(
  words: Uint32Array,
  i: number,
  tree: MendedTree,
  places: L2Places,
  takesCopy: (index: number) => boolean,
): number | undefined {
  const offset = offsetOf(words[i]!, words[i + 1]!);
  const { offsets } = tree.tally;
  const index = indexOfOffset(offsets, offset);
  if (offset === 0 || offsets[index] !== offset) return undefined;
  const copy = places.copyOf[index]!;
  return copy !== 0 && takesCopy(index) ? copy : offset;
}

/** Where an entry points that stays and can't be right; undefined for all others. */
function strayTarget(words: Uint32Array, i: number, tree: MendedTree): number | undefined {
  const offset = offsetOf(words[i]!, words[i + 1]!);
  return tree.strayTables.has(offset) ? offset : undefined;
}

/** Stray bits that were not chosen to be mended stay. */
function setEntry(words: Uint32Array, i: number, at: number, flags: number): void {
  words[i] = Math.floor(at / HIGH_WORD) | flags | (words[i]! & ~(OFFSET_HIGH | COPIED));
  words[i + 1] = (at & OFFSET_LOW) | (words[i + 1]! & ~OFFSET_LOW);
}

function tooManyL1Bytes(): QsnapError {
  const expected = `at most ${L1_BYTES_MAX} bytes`;
  const message = 'the repair would have to write too many L1 tables of snapshots anew';
  return new QsnapError('LIMIT_EXCEEDED', message, { structure: 'inactive L1', expected });
}
