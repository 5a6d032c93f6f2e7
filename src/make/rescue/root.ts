import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { COPIED, judgeL1Entry, offsetOf } from '../../l1l2/entry.js';
import { holdsTable, isZeroAt, type Evidence } from './evidence.js';

/**
 * How an L1 table came to be taken for a disk's.
 *
 * - `named`: the header or the snapshot table leads to it, as it is stored;
 * - `one-bit`: they lead to a place that differs by one bit;
 * - `old-table`: an older snapshot table or header leads to it, found by the sweep;
 * - `unnamed`: nothing leads to it, found by the sweep;
 * - `rebuilt`: no L1 table is left; its L2 tables were put in order.
 */
export type Origin = 'named' | 'one-bit' | 'old-table' | 'unnamed' | 'rebuilt';

/** How sure a part of the result is, the surest first. */
export type Sureness = 'certain' | 'likely' | 'guess';

/** A disk as far as its L1 table tells: which L2 table maps which part of it. */
export interface Root {
  readonly kind: 'active' | 'snapshot' | 'lost';
  readonly origin: Origin;
  /** Where the L1 table lies; undefined for one that is rebuilt. */
  readonly l1At: number | undefined;
  readonly snapshot: Snapshot | undefined;
  readonly diskSizeBytes: number;
  /**
   * By L1 index: the host offset of the L2 table, 0 where there is none, and below 0 where it is lost:
   * see `lostEntry`.
   */
  readonly tables: Float64Array;
  /** Entries with the COPIED flag, by index: only those of the active disk mean something. */
  readonly copied: Uint8Array;
  /** How sure the least sure of the entries is that were put in place of a lost one. */
  readonly sureness: Sureness;
}

/** An L1 entry that leads, or led, to a table which can't be found: what is stored there, if anything. */
export function lostEntry(stored: number): number {
  return -1 - stored;
}

/** What is stored in a lost entry; 0: nothing. */
export function storedIn(lost: number): number {
  return -1 - lost;
}

/** How many entries of a root are lost. */
export function lostTables({ tables }: Root): number {
  return tables.reduce((sum, at) => sum + (at < 0 ? 1 : 0), 0);
}

/** The less sure of the two. */
export function lessSure(a: Sureness, b: Sureness): Sureness {
  const order: readonly Sureness[] = ['certain', 'likely', 'guess'];
  return order[Math.max(order.indexOf(a), order.indexOf(b))]!;
}

/** What an L1 table as it is stored is made a root with. */
export type RootFacts = Pick<Root, 'kind' | 'origin' | 'l1At' | 'snapshot' | 'diskSizeBytes'>;

/**
 * Reads an L1 table entry by entry. An entry is lost if it points where no table can be, or if it lies itself past
 * the end of the file.
 *
 * @param words host order: as much of the table as the file has.
 * @param entries of the whole table.
 */
export function rootOf(
  facts: RootFacts,
  words: Uint32Array,
  evidence: Evidence,
  entries = words.length / 2,
): Root {
  const { clusterBytes } = evidence.format.geometry;
  const inFile = words.length / 2;
  const tables = new Float64Array(entries).fill(lostEntry(0), inFile);
  const copied = new Uint8Array(entries);
  for (let i = 0; i < inFile; i++) {
    const high = words[2 * i]!;
    const low = words[2 * i + 1]!;
    if ((high | low) === 0) continue;
    const at = offsetOf(high, low);
    const problem = judgeL1Entry(
      (high & 0x80ff_ffff) >>> 0,
      (low & 0xffff_fe00) >>> 0,
      evidence.format,
    );
    if (problem === 'copied-without-offset') continue;
    if (problem !== undefined) tables[i] = lostEntry(at);
    else if (evidence.refcounts.owned.has(at / clusterBytes)) tables[i] = lostEntry(at);
    else if (at !== 0) tables[i] = at;
    copied[i] = (high & COPIED) !== 0 ? 1 : 0;
  }
  return { ...facts, tables, copied, sureness: sureByOrigin(facts.origin) };
}

function sureByOrigin(origin: Origin): Sureness {
  return origin === 'named' ? 'certain' : 'likely';
}

/**
 * Counts the entries of a root that lead to a cluster that looks like a table (`leads`), of all entries in use
 * (`all`). An entry that leads to zeros counts in neither: an empty table looks like nothing.
 */
export function credit({ tables }: Root, evidence: Evidence): { leads: number; all: number } {
  let [leads, all] = [0, 0];
  for (const at of tables) {
    if (at === 0 || (at > 0 && isZeroAt(at, evidence))) continue;
    all += 1;
    if (at > 0 && holdsTable(at, evidence)) leads += 1;
  }
  return { leads, all };
}

/** Whether an L1 table is one: most of what it names are tables. One of zeros is none. */
export function isCredible(root: Root, evidence: Evidence): boolean {
  const { leads, all } = credit(root, evidence);
  return leads > 0 && leads * 2 > all;
}

/** Entries that the disk of a root needs, without those for VM state. */
export function diskEntries({ diskSizeBytes }: Root, { format }: Evidence): number {
  return l1EntriesFor(diskSizeBytes, format.geometry);
}
