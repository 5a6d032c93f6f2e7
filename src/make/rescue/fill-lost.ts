import { oneBitNeighbours } from '../../image/one-bit.js';
import { holdsTable, isCutOff, isInUse, isPlace, type Evidence } from './evidence.js';
import type { L1Room } from './l1-room.js';
import type { Orphan } from './orphans.js';
import {
  diskEntries,
  lessSure,
  lostEntry,
  lostTables,
  storedIn,
  type Root,
  type Sureness,
} from './root.js';

/** A table put where an L1 entry had lost its own, and how sure that is. */
interface Placing {
  readonly at: number;
  readonly sureness: Sureness;
}

/** How many of the tables tried have to agree before an orphan is believed to belong there. */
const VOTES_MIN = 2;

/**
 * Finds tables for L1 entries that have lost theirs: for one with a flipped bit the table that the
 * pointer named before; for others a table that nobody leads to and that maps the same data as what
 * another disk has there; or that other disk's own table, where the refcounts know of one reference
 * more than was found. What is left goes where there is room, in the order of the file: a guess.
 */
export class LostTables {
  readonly #evidence: Evidence;
  readonly #l1s: ReadonlySet<number>;
  readonly #isTaken: (cluster: number) => boolean;
  /** Orphans by place that nobody has taken yet. */
  readonly #orphans: Map<number, Orphan>;
  readonly #byIndex = new Map<number, Orphan[]>();
  /** How many L1 entries lead to each table, and the index of one of them. */
  readonly #pointers = new Map<number, number>();
  readonly #indexOf = new Map<number, number>();
  /** By L1 index: a table to which more leads than was found, by the refcounts. */
  readonly #shared = new Map<number, number>();
  /** By L1 index: how many disks that were found lack a table and the place of it. */
  readonly #lacking = new Map<number, number>();
  readonly #disksLost: number;

  /**
   * @param disksLost how many there are of which nothing was found: any table may be theirs.
   * @param l1s host offsets of what looks like an L1 table.
   * @param isTaken whether something known lies in a cluster.
   */
  constructor(
    roots: readonly Root[],
    orphans: readonly Orphan[],
    disksLost: number,
    l1s: ReadonlySet<number>,
    isTaken: (cluster: number) => boolean,
    evidence: Evidence,
  ) {
    this.#evidence = evidence;
    this.#isTaken = isTaken;
    this.#l1s = l1s;
    this.#disksLost = disksLost;
    this.#orphans = new Map(orphans.map((orphan) => [orphan.at, orphan]));
    for (const orphan of [...orphans].sort(better)) {
      if (orphan.index === undefined || orphan.votes < Math.min(VOTES_MIN, orphan.mapped)) continue;
      const list = this.#byIndex.get(orphan.index) ?? [];
      list.push(orphan);
      this.#byIndex.set(orphan.index, list);
    }
    for (const { tables } of roots) {
      tables.forEach((at, index) => {
        if (at === lostEntry(0)) this.#lacking.set(index, (this.#lacking.get(index) ?? 0) + 1);
        if (at <= 0) return;
        this.#pointers.set(at, (this.#pointers.get(at) ?? 0) + 1);
        this.#indexOf.set(at, index);
      });
    }
    // The tables of later snapshots take the place of those before: they are nearer to the disk.
    for (const at of this.#pointers.keys()) {
      if (this.#isSpare(at)) this.#shared.set(this.#indexOf.get(at)!, at);
    }
  }

  /**
   * The root with tables for as many of its lost entries as there are any for. A disk that has tables is made
   * no guess by others that may be its own: what they mapped stays lost.
   */
  fill(root: Root): Root {
    const likely = this.#filled(root, 'likely');
    return likely.tables.some((at) => at > 0) ? likely : this.#filled(likely, 'guess');
  }

  #filled(root: Root, leastSure: Sureness): Root {
    const tables = root.tables.slice();
    const doubtful = this.#doubtful(root);
    let { sureness } = root;
    root.tables.forEach((at, index) => {
      const isLost = at < 0;
      if (!isLost && !doubtful.has(index)) return;
      const placing = this.#findFor(index, isLost ? storedIn(at) : at, isLost);
      if (placing === undefined || lessSure(placing.sureness, leastSure) !== leastSure) return;
      this.#take(placing.at);
      tables[index] = placing.at;
      sureness = lessSure(sureness, placing.sureness);
    });
    return { ...root, tables, sureness };
  }

  /** Puts orphans into a disk that has lost all its tables, in the order of the file. */
  fillInOrder(root: Root): Root {
    const tables = root.tables.slice();
    const left = [...this.#orphans.values()]
      .filter(({ isInUse: inUse, copied }) => inUse === true || (inUse === undefined && copied > 0))
      .sort((a, b) => a.at - b.at);
    const isOnly = left.length === 1 && lostTables(root) === 1;
    let next = 0;
    for (let index = 0; index < tables.length && next < left.length; index++) {
      if (tables[index]! >= 0) continue;
      tables[index] = left[next]!.at;
      this.#take(left[next]!.at);
      next += 1;
    }
    const sureness =
      next === 0 ? root.sureness : lessSure(root.sureness, isOnly ? 'likely' : 'guess');
    return { ...root, tables, sureness };
  }

  /** Entries that lead to a table which can't be theirs: another entry's, or a free one. */
  #doubtful({ tables }: Root): ReadonlySet<number> {
    const seen = new Map<number, number>();
    const doubtful = new Set<number>();
    tables.forEach((at, index) => {
      if (at <= 0) return;
      const before = seen.get(at);
      if (before !== undefined) doubtful.add(before).add(index);
      else if (this.#l1s.has(at) || isInUse(at, this.#evidence) === false) doubtful.add(index);
      seen.set(at, index);
    });
    return doubtful;
  }

  #findFor(index: number, stored: number, isLost: boolean): Placing | undefined {
    const isCut = isCutOff(stored, this.#evidence);
    const isRight =
      isLost && (this.#isRight(stored) || (isCut && this.#evidence.refcounts.isKnown));
    const near = isRight ? undefined : this.#nearest(index, stored);
    if (near !== undefined) return { at: near, sureness: 'likely' };
    if (!isLost) return undefined;
    // Its table was where the entry says: another one here is an older state of it at best.
    const isKnown = isRight || isCut;
    const isSure = !isKnown && this.#claimsOn(index) === 1;
    const orphan = this.#byIndex.get(index)?.find(({ at }) => this.#orphans.has(at));
    if (orphan !== undefined) {
      const isLive = orphan.isInUse ?? orphan.copied > 0;
      return { at: orphan.at, sureness: isSure && isLive ? 'likely' : 'guess' };
    }
    const shared = isKnown ? undefined : this.#shared.get(index);
    if (shared === undefined || !this.#isSpare(shared)) return undefined;
    return { at: shared, sureness: isSure ? 'likely' : 'guess' };
  }

  /** Whether a pointer is right and the table there is damaged: its cluster is in use, and for nothing else. */
  #isRight(stored: number): boolean {
    const { clusterBytes } = this.#evidence.format.geometry;
    if (!isPlace(stored, this.#evidence) || this.#isTaken(stored / clusterBytes)) return false;
    return isInUse(stored, this.#evidence) === true;
  }

  /** A place that differs by one bit: another disk's at the same index, or what nobody else has. */
  #nearest(index: number, stored: number): number | undefined {
    if (stored === 0) return undefined;
    const { clusterBytes } = this.#evidence.format.geometry;
    const near = oneBitNeighbours(stored, clusterBytes, this.#evidence.fileSizeBytes).filter((at) =>
      holdsTable(at, this.#evidence),
    );
    const known = near.find((at) => this.#indexOf.get(at) === index);
    if (known !== undefined) return known;
    const free = near.filter(
      (at) => this.#orphans.get(at)?.isInUse !== false && this.#orphans.has(at),
    );
    return free.length === 1 ? free[0] : free.find((at) => this.#orphans.get(at)!.index === index);
  }

  /** How many disks may have the table that one of them lacks at an index; that one itself is counted. */
  #claimsOn(index: number): number {
    return this.#disksLost + Math.max(1, this.#lacking.get(index) ?? 0);
  }

  /** Whether the refcounts say that one more leads to a table than was found. */
  #isSpare(at: number): boolean {
    const { refcounts, format } = this.#evidence;
    const stored = refcounts.of(at / format.geometry.clusterBytes);
    return stored !== undefined && stored > (this.#pointers.get(at) ?? 0);
  }

  #take(at: number): void {
    this.#orphans.delete(at);
    this.#pointers.set(at, (this.#pointers.get(at) ?? 0) + 1);
  }
}

/** In use before unknown before free, then by flags, then the one written last, as a rule. */
function better(a: Orphan, b: Orphan): number {
  const use = ({ isInUse: inUse }: Orphan): number => (inUse === undefined ? 1 : inUse ? 2 : 0);
  return use(b) - use(a) || Number(b.copied > 0) - Number(a.copied > 0) || b.at - a.at;
}

/** A root of which every entry is lost: as many as its disk needs, as long as there is room for them. */
export function withAllLost(root: Root, evidence: Evidence, room: L1Room): Root {
  const missing = Math.max(0, diskEntries(root, evidence) - root.tables.length);
  const entries = root.tables.length + (room.take(missing) ? missing : 0);
  const tables = new Float64Array(entries).fill(lostEntry(0));
  return { ...root, origin: 'rebuilt', sureness: 'likely', l1At: undefined, tables };
}
