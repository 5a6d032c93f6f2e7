import { ClusterSet } from '../../refcount/cluster-set.js';
import { isInUse, type Evidence } from './evidence.js';
import { LostTables, withAllLost } from './fill-lost.js';
import type { FoundRoots } from './find-roots.js';
import { L1Room } from './l1-room.js';
import { addMetadata, addRegions, findOrphans } from './orphans.js';
import { isCredible, lostEntry, rootOf, type Root } from './root.js';
import { indexOfTable, isUnreadable, weighTables, type WeighedTables } from './weigh.js';

/**
 * Decides which disk each L1 table belongs to. Finds an L1 table for the active disk if the header's own is lost, and
 * keeps unnamed L1 tables as lost disks. Then finds L2 tables for entries that were lost.
 *
 * @returns the active disk first, then the snapshots in order, then disks that nothing names.
 */
export async function decideDisks(found: FoundRoots, evidence: Evidence): Promise<readonly Root[]> {
  const snapshots = withOlderL1s(found);
  const older = notNamedAgain(found.older, snapshots);
  const isLive = ({ l1At }: Root): boolean =>
    l1At === undefined || isInUse(l1At, evidence) !== false;
  const named = [...(found.active ? [found.active] : []), ...snapshots, ...older.filter(isLive)];
  const weighed = await weigh(named, evidence);
  // Where every cluster in use is explained, a table of zeros is what it was.
  const zerosAreLost = !evidence.refcounts.isKnown || hasSpareReferences(weighed, evidence);
  const trusted = named.map((root) =>
    withoutUnreadable(root, weighed.tables, zerosAreLost, evidence, found.room),
  );

  const { unnamed, copies } = unnamedRoots(found.unnamed, trusted, weighed, evidence);
  // Those in use are first of all the snapshots' that left no entry.
  const mayBeActive = unnamed.filter(isLive).length > found.snapshotsLost;
  const hasActive = found.active !== undefined && !(zerosAreLost && isEmpty(trusted[0]!));
  const active = hasActive
    ? trusted[0]
    : replacementFor(
        found,
        [...unnamed.filter((root) => mayBeActive || !isLive(root)), ...copies],
        weighed,
        evidence,
      );
  const others = found.active === undefined ? trusted : trusted.slice(1);
  const left = unnamed.filter((root) => root.l1At !== active?.l1At);
  const live = left.filter(isLive);
  const roots = [...(active ? [active] : []), ...others, ...live];
  const disksLost = Math.max(0, found.snapshotsLost - live.length);
  const filled = await fill(roots, disksLost, found, evidence);
  const stale = [...older.filter((root) => !isLive(root)), ...left.filter((root) => !isLive(root))];
  const guesses = stale.map((root): Root => ({ ...root, sureness: 'guess' }));
  return [...filled, ...guesses];
}

interface Weighed {
  readonly tables: WeighedTables;
  readonly metadata: ClusterSet;
}

async function weigh(roots: readonly Root[], evidence: Evidence): Promise<Weighed> {
  const { format, ownRegions } = evidence;
  const metadata = new ClusterSet(format.fileClusters + 1);
  addMetadata(metadata, roots, evidence);
  const tables = await weighTables(roots, metadata, evidence);
  addRegions(metadata, ownRegions, format.geometry.clusterBytes);
  return { metadata, tables };
}

/** A snapshot whose L1 table is lost gets the one that an older snapshot table names for it. */
function withOlderL1s({ snapshots, older }: FoundRoots): readonly Root[] {
  const before = new Map(older.map((root) => [identityOf(root), root]));
  return snapshots.map((root) => {
    const other = root.origin === 'rebuilt' ? before.get(identityOf(root)) : undefined;
    return other === undefined ? root : { ...other, snapshot: root.snapshot };
  });
}

/** The snapshots of older snapshot tables that the present one does not list, not even under another name. */
function notNamedAgain(older: readonly Root[], snapshots: readonly Root[]): readonly Root[] {
  const known = new Set(snapshots.map(identityOf));
  const places = new Set(snapshots.map(({ l1At }) => l1At));
  return older.filter((root) => !known.has(identityOf(root)) && !places.has(root.l1At));
}

/** A key of a snapshot that stays the same when it is renamed, or when the table is written anew. */
function identityOf({ snapshot }: Root): string {
  if (snapshot === undefined) return '';
  const { id, date } = snapshot;
  return `${date.seconds}.${date.nanoseconds} ${id}`;
}

/** Whether the refcounts know of more references to anything than were found. */
function hasSpareReferences(
  { tables, metadata }: Weighed,
  { refcounts, format }: Evidence,
): boolean {
  for (let cluster = 1; cluster < format.fileClusters; cluster++) {
    const stored = refcounts.of(cluster) ?? 0;
    if (stored > tables.counts.get(cluster) && !metadata.has(cluster)) return true;
    // A table's own references are counted, and it is metadata as well.
    if (stored > Math.max(1, tables.counts.get(cluster))) return true;
  }
  return false;
}

/** Marks entries as lost that do not lead to an L2 table; all entries, of a snapshot's L1 that was emptied. */
function withoutUnreadable(
  root: Root,
  tables: WeighedTables,
  zerosAreLost: boolean,
  evidence: Evidence,
  room: L1Room,
): Root {
  if (root.kind === 'snapshot' && zerosAreLost && isEmpty(root)) {
    return withAllLost(root, evidence, room);
  }
  const kept = root.tables.map((at) => {
    if (at <= 0) return at;
    const index = indexOfTable(at, tables);
    const isLost = isUnreadable(index, tables) || (zerosAreLost && tables.isZero[index] === 1);
    return isLost ? lostEntry(at) : at;
  });
  return { ...root, tables: kept };
}

function isEmpty({ tables, diskSizeBytes }: Root): boolean {
  return diskSizeBytes > 0 && tables.every((at) => at === 0);
}

/**
 * The L1 tables that nothing names, without guest data that only looks like one. Copies of a known L1 table are
 * listed apart, unless they are in use: after a snapshot the active disk's L1 equals the snapshot's until the guest
 * writes, so such a copy may be the active disk's.
 */
function unnamedRoots(
  unnamed: readonly Root[],
  named: readonly Root[],
  { tables, metadata }: Weighed,
  evidence: Evidence,
): { readonly unnamed: readonly Root[]; readonly copies: readonly Root[] } {
  const copies: Root[] = [];
  const known = new Map(named.map((root) => [hashOf(root), root]));
  const left = unnamed.filter((root) => {
    const cluster = root.l1At! / evidence.format.geometry.clusterBytes;
    if (metadata.has(cluster) || tables.counts.get(cluster) > 0) return false;
    if (!isCredible(root, evidence)) return false;
    const hash = hashOf(root);
    const other = known.get(hash);
    const isCopy = other !== undefined && mapsTheSame(other, root);
    if (isCopy) copies.push(root);
    else known.set(hash, root);
    return !isCopy;
  });
  // A copy that is in use is a snapshot's, which nothing was written after.
  const inUse = copies.filter(({ l1At }) => isInUse(l1At!, evidence) === true);
  return { unnamed: [...left, ...inUse], copies: copies.filter((root) => !inUse.includes(root)) };
}

/** Equal for roots that map the same. */
function hashOf({ tables }: Root): number {
  let hash = 0;
  tables.forEach((at, i) => {
    if (at !== 0) hash = (Math.imul(hash, 31) + at / 512 + Math.imul(i, 0x9e37)) | 0;
  });
  return hash;
}

function mapsTheSame({ tables: a }: Root, { tables: b }: Root): boolean {
  const entries = Math.max(a.length, b.length);
  for (let i = 0; i < entries; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return false;
  return true;
}

/** An L1 table for an active disk that has lost its own: the best unnamed one, else one whose entries are all lost. */
function replacementFor(
  { active, snapshotsLost }: FoundRoots,
  unnamed: readonly Root[],
  weighed: Weighed,
  evidence: Evidence,
): Root | undefined {
  const isStale = ({ l1At }: Root): boolean => isInUse(l1At!, evidence) === false;
  const flagged = unnamed.find((root) => root.copied.includes(1));
  const best = flagged ?? unnamed.find((root) => !isStale(root));
  const { head, format } = evidence;
  const diskSizeBytes = active?.diskSizeBytes ?? head.diskSizeBytes;
  if (best !== undefined) {
    const size = diskSizeBytes ?? best.tables.length * format.geometry.l2CoverageBytes;
    // A snapshot that left no entry may have had it.
    const isOnly = snapshotsLost === 0;
    const isBelieved = isOnly && (!isStale(best) || isMissed(best, weighed, evidence));
    const sureness = isBelieved ? 'likely' : 'guess';
    return { ...best, kind: 'active', diskSizeBytes: size, sureness };
  }
  // Without a header it takes a size to know of how many tables the disk was made.
  if (diskSizeBytes === undefined) return undefined;
  const facts = {
    kind: 'active',
    origin: 'rebuilt',
    l1At: undefined,
    snapshot: undefined,
  } as const;
  const none = rootOf({ ...facts, diskSizeBytes }, new Uint32Array(0), evidence);
  // Of active disks there is one: whatever the others have taken, its table has its length.
  return withAllLost(none, evidence, new L1Room(evidence.fileSizeBytes));
}

/**
 * Whether each L2 table of a root has a higher refcount than the references that were found. Then an L1 table is
 * missing that pointed at all of them, and this root, though in a free cluster, is a copy of it.
 */
function isMissed(
  root: Root,
  { tables: weighed }: Weighed,
  { refcounts, format }: Evidence,
): boolean {
  return root.tables.every((at) => {
    if (at <= 0) return at === 0;
    const cluster = at / format.geometry.clusterBytes;
    return (refcounts.of(cluster) ?? 0) > weighed.counts.get(cluster);
  });
}

/** Finds tables for what is lost: each disk for itself, then those that have lost everything. */
async function fill(
  roots: readonly Root[],
  disksLost: number,
  { l1s, room }: FoundRoots,
  evidence: Evidence,
): Promise<readonly Root[]> {
  const { metadata, tables } = await weigh(roots, evidence);
  const { clusterBytes } = evidence.format.geometry;
  const isTaken = (cluster: number): boolean =>
    metadata.has(cluster) || tables.counts.get(cluster) > 0 || l1s.has(cluster * clusterBytes);
  const orphans = await findOrphans(roots, isTaken, evidence);
  const prepared = roots.map((root) =>
    root.origin === 'rebuilt' && isEmpty(root) ? withAllLost(root, evidence, room) : root,
  );
  const lost = new LostTables(prepared, orphans, disksLost, l1s, isTaken, evidence);
  const filled = prepared.map((root) => lost.fill(root));
  const empty = filled.filter(({ origin }) => origin === 'rebuilt');
  // With two of them nobody knows whose is what.
  if (empty.length !== 1) return filled;
  return filled.map((root) => (root === empty[0] ? lost.fillInOrder(root) : root));
}
