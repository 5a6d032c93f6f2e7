import { MiB } from '../../base/units.js';
import type { Extent, GuestDisk } from '../../read/guest/disk.js';
import type { GuestRange } from './zero-ranges.js';

/** Guest bytes that are read, looked through and written together. */
const STEP_BYTES = 4 * MiB;
/** QEMU reads at most this much of one extent at a time, and looks for zeros in each such piece. */
const PIECE_BYTES = 2 * MiB;
/** Where clusters are tiny and scattered, a step ends by its number of pieces. */
const STEP_PIECES = 16384;

/**
 * What becomes of a stretch of the disk. `copy`: its bytes are read. `zero`: the tables say that it reads as zeros, so
 * nothing is read. `keep`: the new image's own backing file has it.
 */
export type CopyAction = 'copy' | 'zero' | 'keep';

/** A stretch of one extent. */
interface Piece extends GuestRange {
  readonly action: CopyAction;
}

/** A run: pieces with the same action, widened to whole units of the new image. It may end at the disk's end. */
export interface CopyRange extends GuestRange {
  readonly action: CopyAction;
  /** For `copy`: the stretches that may hold other bytes than zeros. Runs of zeros are looked for in each apart. */
  readonly parts: readonly GuestRange[];
  /** For `copy`, over a backing file: the units of the run that no single piece covers. */
  readonly divided: readonly DividedUnit[];
}

/** A unit with several pieces, not all of which are kept. */
export interface DividedUnit extends GuestRange {
  /** The first piece that is not kept, as far as it lies in the unit. It is written first. */
  readonly first: GuestRange;
}

/** What is decided about a disk before any of its data is read. */
export interface StepRule {
  /** What the new image keeps or leaves out on its own: a cluster, or a subcluster. */
  readonly unitBytes: number;
  /** Layers of this depth and below are the new image's backing file; undefined if it has none. */
  readonly below: number | undefined;
  /** Every byte that is not left to a backing file is copied, zeros too. */
  readonly everything: boolean;
  /** Whether units are compressed. Then a last unit that the disk's end cuts is copied, never kept. */
  readonly compressed: boolean;
}

/** What to do with an extent. */
export function actionOf(extent: Extent, { below, everything }: StepRule): CopyAction {
  const { kind, depth } = extent;
  if (below !== undefined && (depth >= below || kind === 'unallocated' || kind === 'backing')) {
    return 'keep';
  }
  if (everything) return 'copy';
  // What an unopened backing file has can't be read: the attempt says so.
  return kind === 'data' || kind === 'compressed' || kind === 'backing' ? 'copy' : 'zero';
}

/** The whole disk as a sequence of steps; each begins and ends as a run does. */
export async function* stepsOf(disk: GuestDisk, rule: StepRule): AsyncGenerator<CopyRange[]> {
  const { unitBytes } = rule;
  const diskBytes = await disk.sizeBytes();
  let pieces: Piece[] = [];
  let copyBytes = 0;
  for await (const batch of disk.extents(0, diskBytes)) {
    for (const extent of batch) {
      for (const piece of piecesOf(extent, disk, diskBytes, rule)) {
        pieces.push(piece);
        if (piece.action === 'copy') copyBytes += piece.to - piece.from;
        if (copyBytes < STEP_BYTES && pieces.length < STEP_PIECES) continue;
        const end = Math.floor(piece.to / unitBytes) * unitBytes;
        if (end <= pieces[0]!.from) continue;
        const rest = cutAt(pieces, end);
        yield runsOf(pieces, rule, diskBytes);
        pieces = rest;
        copyBytes = rest.reduce((sum, { from, to, action }) => {
          return action === 'copy' ? sum + to - from : sum;
        }, 0);
      }
    }
  }
  if (pieces.length > 0) yield runsOf(pieces, rule, diskBytes);
}

function* piecesOf(
  extent: Extent,
  disk: GuestDisk,
  diskBytes: number,
  rule: StepRule,
): Generator<Piece> {
  const action = actionOf(extent, rule);
  const end = extent.start + extent.length;
  const whole = Math.floor(end / rule.unitBytes) * rule.unitBytes;
  if (action === 'keep' && rule.compressed && end === diskBytes && whole < end) {
    if (whole > extent.start) yield { from: extent.start, to: whole, action };
    yield { from: Math.max(whole, extent.start), to: end, action: 'copy' };
    return;
  }
  const pieceBytes = action === 'copy' ? pieceLimit(extent, disk) : extent.length;
  for (let from = extent.start; from < end; from += pieceBytes) {
    yield { from, to: Math.min(end, from + pieceBytes), action };
  }
}

/** QEMU takes compressed clusters one by one. */
function pieceLimit({ kind, depth }: Extent, disk: GuestDisk): number {
  if (kind !== 'compressed') return PIECE_BYTES;
  return (depth === 0 ? disk : disk.chain[depth - 1])?.clusterBytes ?? PIECE_BYTES;
}

/** Takes what lies at or after `end` out of `pieces`, and returns it. */
function cutAt(pieces: Piece[], end: number): Piece[] {
  const rest: Piece[] = [];
  while (pieces.length > 0 && pieces.at(-1)!.to > end) {
    const piece = pieces.pop()!;
    const { from } = piece;
    rest.unshift({ ...piece, from: Math.max(from, end) });
    if (from < end) pieces.push({ ...piece, to: end });
  }
  return rest;
}

interface OpenRun {
  from: number;
  to: number;
  action: CopyAction;
}

/**
 * The pieces widened to whole units. A unit with different pieces is copied: only so can the new
 * image have it as one.
 *
 * @param pieces without gaps; the first begins at a unit.
 */
function runsOf(pieces: readonly Piece[], rule: StepRule, diskBytes: number): CopyRange[] {
  const { unitBytes, below } = rule;
  const runs: OpenRun[] = [];
  const add = (from: number, to: number, action: CopyAction): void => {
    if (to <= from) return;
    const last = runs.at(-1);
    if (last?.action === action) last.to = to;
    else runs.push({ from, to, action });
  };
  for (const { from, to, action } of pieces) {
    const end = Math.min(diskBytes, Math.ceil(to / unitBytes) * unitBytes);
    const last = runs.at(-1);
    // Over a backing file even zeros beside zeros can have to be written.
    const differs = last?.action !== action || (below !== undefined && action === 'zero');
    const shared = last !== undefined && last.to > from && differs;
    if (shared) {
      // The last unit of the run before has a part of this piece, too.
      const boundary = Math.floor(from / unitBytes) * unitBytes;
      const sharedEnd = last.to;
      last.to = boundary;
      if (last.to === last.from) runs.pop();
      add(boundary, sharedEnd, 'copy');
    }
    add(Math.max(from, runs.at(-1)?.to ?? from), end, action);
  }
  return withParts(
    runs,
    pieces,
    below === undefined ? [] : dividedUnits(pieces, unitBytes, diskBytes),
  );
}

function withParts(
  runs: readonly OpenRun[],
  pieces: readonly Piece[],
  units: readonly DividedUnit[],
): CopyRange[] {
  let next = 0;
  let nextUnit = 0;
  return runs.map((run) => {
    const parts: GuestRange[] = [];
    const divided: DividedUnit[] = [];
    if (run.action !== 'copy') return { ...run, parts, divided };
    while (next < pieces.length && pieces[next]!.to <= run.from) next += 1;
    for (; next < pieces.length && pieces[next]!.from < run.to; next += 1) {
      const { from, to, action } = pieces[next]!;
      if (action === 'copy')
        parts.push({ from: Math.max(from, run.from), to: Math.min(to, run.to) });
      if (to > run.to) break;
    }
    for (; nextUnit < units.length && units[nextUnit]!.from < run.to; nextUnit += 1) {
      divided.push(units[nextUnit]!);
    }
    return { ...run, parts, divided };
  });
}

function dividedUnits(
  pieces: readonly Piece[],
  unitBytes: number,
  diskBytes: number,
): DividedUnit[] {
  const units: DividedUnit[] = [];
  for (const { from, to, action } of pieces) {
    if (action === 'keep') continue;
    for (const at of [from, to - 1]) {
      const start = Math.floor(at / unitBytes) * unitBytes;
      const end = Math.min(diskBytes, start + unitBytes);
      const isWhole = from <= start && to >= end;
      if (isWhole || units.at(-1)?.from === start) continue;
      const first = { from: Math.max(from, start), to: Math.min(to, end) };
      units.push({ from: start, to: end, first });
    }
  }
  return units;
}
