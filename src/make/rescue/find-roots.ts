import { sameBytes } from '../../base/text.js';
import { visitL1Tables } from '../../refs/l1-tables.js';
import { oneBitNeighbours } from '../../image/one-bit.js';
import { LIMITS } from '../../qcow2/limits.js';
import { SNAPSHOT_EXTRA_BYTES_V3 } from '../../qcow2/spec.js';
import type { L1Ref } from '../../qcow2/header.js';
import { l1EntriesFor } from '../../qcow2/geometry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import type { Candidate } from '../../read/scan/candidate.js';
import type { L1Candidate } from '../../read/scan/find-l1s.js';
import { isCutOff, isInUse, isPlace, type Evidence } from './evidence.js';
import { isSizePossible, L1_ENTRIES_MAX, L1Room } from './l1-room.js';
import {
  credit,
  isCredible,
  rootOf,
  storedIn,
  type Origin,
  type Root,
  type RootFacts,
} from './root.js';
import type { FoundSnapshots } from './snapshot-tables.js';

/** Of L1 tables that nobody names no more are looked at. */
const UNNAMED_MAX = 1000;

const NONE: ReadonlySet<number> = new Set();

const NO_WORDS = new Uint32Array(0);

/** The roots that something names, and those that nothing does. */
export interface FoundRoots {
  /** Undefined where the header's L1 table is lost. */
  readonly active: Root | undefined;
  /** By the snapshot table; what has no L1 left is a root of no tables. */
  readonly snapshots: readonly Root[];
  /** By older snapshot tables, and in use by the refcounts, as far as these are known. */
  readonly older: readonly Root[];
  /** The best first. */
  readonly unnamed: readonly Root[];
  /** How many snapshots the header counts of which no entry is left. */
  readonly snapshotsLost: number;
  /** Host offsets of all that look like an L1 table, or are said to be one. */
  readonly l1s: ReadonlySet<number>;
  /** What the roots left of it. */
  readonly room: L1Room;
}

/** A root that is wanted: where its L1 table may lie. */
interface Wanted {
  readonly facts: Omit<RootFacts, 'l1At' | 'origin'>;
  readonly ref: L1Ref;
  readonly origin: Origin;
}

/** Reads all L1 tables that a disk may have. */
export async function findRoots(
  evidence: Evidence,
  found: FoundSnapshots,
  candidates: readonly L1Candidate[],
): Promise<FoundRoots> {
  const reader = new L1Reader(
    evidence,
    new Set(candidates.map(({ at }) => at)),
    namedPlaces(evidence, found),
  );
  const active = await findActive(reader);
  const snapshots = await findNamed(reader, found.named);
  const older = await findOlder(reader, found.others, snapshots);
  const named = new Set([active, ...snapshots, ...older].map((root) => root?.l1At));
  const unnamed = await findUnnamed(reader, candidates, named);
  const l1s = new Set([...reader.candidates, ...reader.named]);
  const claimed = Math.min(found.claimed ?? 0, LIMITS.snapshotsMax.value);
  const snapshotsLost = Math.max(0, claimed - snapshots.length - older.length);
  return { active, snapshots, older, unnamed, snapshotsLost, l1s, room: reader.room };
}

function namedPlaces({ head }: Evidence, { named }: FoundSnapshots): ReadonlySet<number> {
  return new Set([head.pointers?.l1At ?? 0, ...named.map(({ l1 }) => l1.at)]);
}

async function findActive(reader: L1Reader): Promise<Root | undefined> {
  const { head, format } = reader.evidence;
  const { pointers, diskSizeBytes } = head;
  if (pointers === undefined) return undefined;
  const needed = l1EntriesFor(diskSizeBytes ?? 0, format.geometry);
  const entries = Math.max(pointers.l1Entries, needed);
  const facts = {
    kind: 'active' as const,
    snapshot: undefined,
    diskSizeBytes: diskSizeBytes ?? entries * format.geometry.l2CoverageBytes,
  };
  return findOne(reader, facts, pointers.l1At, entries);
}

/** A snapshot whose L1 table is lost stays, with no tables. */
async function findNamed(
  reader: L1Reader,
  snapshots: readonly Snapshot[],
): Promise<readonly Root[]> {
  const roots: Root[] = [];
  for (const snapshot of snapshots) {
    const facts = factsOf(snapshot, reader.evidence);
    const root = await findOne(reader, facts, snapshot.l1.at, snapshot.l1.entries);
    roots.push(root ?? reader.empty(facts));
  }
  return roots;
}

/** An entry without a size that an image can have means that of the active disk. */
function factsOf(snapshot: Snapshot, { head, format }: Evidence): Wanted['facts'] {
  const hasSize =
    snapshot.extraData.length >= SNAPSHOT_EXTRA_BYTES_V3 &&
    isSizePossible(snapshot.diskSizeBytes, format.geometry);
  const diskSizeBytes = hasSize ? snapshot.diskSizeBytes : (head.diskSizeBytes ?? 0);
  return { kind: 'snapshot', snapshot, diskSizeBytes };
}

/** The L1 table at a place, or at one that differs by one bit and holds one. */
async function findOne(
  reader: L1Reader,
  facts: Wanted['facts'],
  at: number,
  entries: number,
): Promise<Root | undefined> {
  const { evidence } = reader;
  const { fileSizeBytes, format } = evidence;
  const isNothing = entries === 0 && facts.diskSizeBytes === 0;
  if (isNothing) return rootOf({ ...facts, origin: 'named', l1At: undefined }, NO_WORDS, evidence);
  // The length may be what is damaged: then the disk says how long the table is.
  const needed = l1EntriesFor(facts.diskSizeBytes, format.geometry);
  const lengths = entries === needed || needed === 0 ? [entries] : [entries, needed];
  const near = oneBitNeighbours(at, format.geometry.clusterBytes, fileSizeBytes);
  const places = [
    { place: at, origin: 'named' as const },
    ...near
      .filter((place) => reader.candidates.has(place) && !reader.named.has(place))
      .map((place) => ({ place, origin: 'one-bit' as const })),
  ];
  let empty: Root | undefined;
  let unled: Root | undefined;
  for (const { place, origin } of places) {
    if (!isPlace(place, evidence)) continue;
    for (const length of lengths) {
      const ref = { at: place, entries: length };
      const root = await reader.read({ facts, ref, origin });
      if (root === undefined) continue;
      if (isCredible(root, evidence)) return root;
      if (origin !== 'named') continue;
      const { leads, all } = credit(root, evidence);
      // Of a table with two entries one is enough where it is where it should be.
      if (leads > 0 && leads * 2 === all) return root;
      if (all === 0) empty ??= root;
      else if (isSound(root, evidence)) unled ??= root;
    }
  }
  // A disk that nothing was ever written to has an L1 of zeros: the caller knows whether that can be.
  if (empty !== undefined) return empty;
  // One that is sound in itself is the one, whatever became of its tables.
  const use = isInUse(at, evidence);
  const isBelieved = use === true || (use === undefined && unled?.tables.some((to) => to < 0));
  return isBelieved === true ? unled : undefined;
}

/** Whether every entry of a root is one: what they lead to may be no table, or cut off with the file's end. */
function isSound({ tables }: Root, evidence: Evidence): boolean {
  if (!tables.some((at) => at > 0 || storedIn(at) > 0)) return false;
  return tables.every((at) => at >= 0 || storedIn(at) === 0 || isCutOff(storedIn(at), evidence));
}

/** Snapshots of older tables whose L1 tables are not known to be free, and belong to no other. */
async function findOlder(
  reader: L1Reader,
  others: readonly Snapshot[],
  named: readonly Root[],
): Promise<readonly Root[]> {
  const taken = new Set(named.map(({ l1At }) => l1At));
  const roots: Root[] = [];
  for (const snapshot of others) {
    if (taken.has(snapshot.l1.at)) continue;
    const wanted = {
      facts: factsOf(snapshot, reader.evidence),
      ref: snapshot.l1,
      origin: 'old-table' as const,
    };
    const root = await reader.read(wanted);
    if (root === undefined || !isCredible(root, reader.evidence)) continue;
    taken.add(snapshot.l1.at);
    roots.push(root);
  }
  return roots;
}

async function findUnnamed(
  reader: L1Reader,
  candidates: readonly L1Candidate[],
  named: ReadonlySet<number | undefined>,
): Promise<readonly Root[]> {
  const { evidence } = reader;
  const { geometry } = evidence.format;
  const { diskSizeBytes, pointers } = evidence.head;
  const others = candidates
    .filter(({ at }) => !named.has(at))
    .sort((a, b) => rank(b, evidence) - rank(a, evidence) || b.at - a.at)
    .slice(0, UNNAMED_MAX);
  const roots: Root[] = [];
  for (const { at, clusters } of others) {
    const room = (clusters * geometry.clusterBytes) / 8;
    const entries = Math.min(room, Math.max(pointers?.l1Entries ?? room, 1));
    const facts = { kind: 'lost' as const, snapshot: undefined, diskSizeBytes: diskSizeBytes ?? 0 };
    const ref = { at, entries };
    const root = await reader.read({ facts, ref, origin: 'unnamed' });
    if (root !== undefined) roots.push(root);
  }
  return roots;
}

/** In use before unknown before free; then by flags, which the active L1 has; then by length. */
function rank({ at, pointers, copied }: L1Candidate, evidence: Evidence): number {
  const use = { true: 2, undefined: 1, false: 0 }[`${isInUse(at, evidence)}`];
  return use * 2 ** 44 + copied * 2 ** 22 + pointers;
}

/** A disk that somebody asked for by what a scan found. */
export type AskedDisk = Pick<Candidate, 'snapshot'> & { readonly l1: L1Ref };

/**
 * The disks with the one that was asked for among them. The search for disks may have taken its L1 table for none, or for
 * another's: most of it leads to no tables, or its entry lies where a rescue does not look. Who asks for it has looked.
 */
export async function withAskedDisk(
  roots: readonly Root[],
  asked: AskedDisk,
  evidence: Evidence,
): Promise<readonly Root[]> {
  const { snapshot, l1 } = asked;
  const there = roots.find((root) => root.l1At === l1.at);
  if (there !== undefined && (snapshot === undefined || isDiskOf(there, snapshot))) return roots;
  // What the image itself names is not what was deleted.
  if (there?.origin === 'named' || there?.origin === 'one-bit') return roots;
  const reader = new L1Reader(evidence, NONE, NONE);
  const facts =
    snapshot === undefined
      ? { kind: 'lost' as const, snapshot, diskSizeBytes: evidence.head.diskSizeBytes ?? 0 }
      : factsOf(snapshot, evidence);
  const origin = snapshot === undefined ? 'unnamed' : 'old-table';
  const root = await reader.read({ facts, ref: l1, origin });
  if (root === undefined) return roots;
  return [...roots.filter((one) => one !== there), { ...root, sureness: 'guess' }];
}

/** Whether a root was made of the same entry of a snapshot table, or of a copy of it. */
function isDiskOf({ snapshot: of }: Root, snapshot: Snapshot): boolean {
  if (of?.l1.entries !== snapshot.l1.entries) return false;
  return sameBytes(of.idBytes, snapshot.idBytes) && sameBytes(of.nameBytes, snapshot.nameBytes);
}

/** Reads L1 tables as long as there is room for them. */
class L1Reader {
  readonly evidence: Evidence;
  /** Host offsets of what looks like an L1 table. */
  readonly candidates: ReadonlySet<number>;
  /** Where L1 tables lie by the header and the snapshot table: no pointer with a flipped bit means these. */
  readonly named: ReadonlySet<number>;
  readonly room: L1Room;

  constructor(evidence: Evidence, candidates: ReadonlySet<number>, named: ReadonlySet<number>) {
    this.evidence = evidence;
    this.named = named;
    this.candidates = candidates;
    this.room = new L1Room(evidence.fileSizeBytes);
  }

  /** Undefined where no table can be, or where the tables of an image claim more than it holds. */
  async read({ facts, ref, origin }: Wanted): Promise<Root | undefined> {
    if (!isPlace(ref.at, this.evidence)) return undefined;
    const entries = Math.min(ref.entries, L1_ENTRIES_MAX);
    if (!this.room.take(entries)) return undefined;
    const { source, fileSizeBytes } = this.evidence;
    const inFile = Math.min(entries, Math.floor((fileSizeBytes - ref.at) / 8));
    let root: Root | undefined;
    await visitL1Tables(source, [{ at: ref.at, entries: inFile }], (_, words) => {
      root = rootOf({ ...facts, origin, l1At: ref.at }, words, this.evidence, entries);
    });
    return root;
  }

  /** A disk of which no L1 table is left, with room for its tables. */
  empty(facts: Wanted['facts']): Root {
    const wanted = l1EntriesFor(facts.diskSizeBytes, this.evidence.format.geometry);
    const entries = this.room.take(wanted) ? wanted : 0;
    const words = new Uint32Array(2 * entries);
    return rootOf({ ...facts, origin: 'rebuilt', l1At: undefined }, words, this.evidence);
  }
}
