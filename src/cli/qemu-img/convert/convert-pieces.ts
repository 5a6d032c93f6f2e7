/**
 * The pieces in which QEMU copies a disk: it counts its progress in them. QEMU: qemu-img.c,
 * convert_iteration_sectors, as measured with 7.2.
 */
import { isQsnapError, type GuestDisk } from '../../../index.js';
import { endOfAnswer, type StatusRun } from '../map/status-runs.js';
import { StatusWalk } from '../map/status-walk.js';

/** QEMU copies no more at a time. */
const COPY_BYTES = 2 * 1024 * 1024;
/** QEMU asks about no more at a time. */
const QUESTION_BYTES = 2 ** 31 - 512;

/** What decides the pieces. */
export interface PieceRule {
  /** Zeros count, too: they are written. */
  readonly everything: boolean;
  /** Compressed clusters are copied whole, one at a time. */
  readonly compressedBytes: number | undefined;
  /** Size of the copy's backing disk, which has what the first layer of the source leaves to it. */
  readonly backingBytes: number | undefined;
}

/** A stretch of the source that counts. */
export interface Piece {
  readonly end: number;
  readonly bytes: number;
}

interface Part {
  readonly from: number;
  readonly to: number;
  readonly walk: StatusWalk;
  readonly clusterBytes: number;
  /** Size of the disk below; 0 without one. */
  readonly belowBytes: number;
}

type What = 'data' | 'zero' | 'backing';

/** @param disks the sources, one behind the other. */
export async function piecesToCopy(
  disks: readonly GuestDisk[],
  rule: PieceRule,
): Promise<readonly Piece[]> {
  const parts = await partsOf(disks, rule);
  const total = parts.at(-1)?.to ?? 0;
  const copyBytes = rule.compressedBytes ?? COPY_BYTES;
  const pieces: Piece[] = [];
  let known = 0;
  let what: What = 'data';
  for (let at = 0; at < total;) {
    if (known <= at) {
      const part = parts.find(({ to }) => at < to)!;
      const run = await part.walk.runAt(at - part.from);
      // The copy itself meets the same error, and says so.
      if (run === undefined || isQsnapError(run)) break;
      known = at + answeredBytes(at, run, part, rule);
      what = whatIs(run, at, part, rule);
    }
    let bytes = known - at;
    if (what === 'data' || (what === 'zero' && rule.everything)) bytes = Math.min(bytes, copyBytes);
    if (rule.compressedBytes !== undefined) {
      // A cluster is compressed as a whole, also where a part of it is not data.
      if (bytes < copyBytes) what = 'data';
      bytes = bytes < copyBytes ? Math.min(copyBytes, total - at) : bytes - (bytes % copyBytes);
    }
    at += bytes;
    if (what === 'data' || (what === 'zero' && rule.everything)) pieces.push({ end: at, bytes });
  }
  return pieces;
}

async function partsOf(
  disks: readonly GuestDisk[],
  { backingBytes }: PieceRule,
): Promise<readonly Part[]> {
  const asked = backingBytes === undefined ? 'all' : 'first';
  const parts: Part[] = [];
  let from = 0;
  for (const disk of disks) {
    const to = from + (await disk.sizeBytes());
    const walk = new StatusWalk(disk, asked);
    const belowBytes = (await disk.chain[0]?.sizeBytes()) ?? 0;
    parts.push({ from, to, walk, clusterBytes: disk.clusterBytes, belowBytes });
    from = to;
  }
  return parts;
}

/** How far an answer goes: to the end of a cluster of the source, if it goes that far. */
function answeredBytes(
  at: number,
  run: StatusRun,
  { from, clusterBytes }: Part,
  { backingBytes }: PieceRule,
): number {
  const ends = [from + run.end, at + QUESTION_BYTES];
  if (backingBytes !== undefined && at < backingBytes) ends.push(backingBytes);
  const asked = { start: at - from, end: Math.min(...ends) - from };
  return endOfAnswer(asked, clusterBytes) - asked.start;
}

function whatIs(
  { zero, allocated }: StatusRun,
  at: number,
  { from, belowBytes }: Part,
  { backingBytes }: PieceRule,
): What {
  if (!zero) return 'data';
  if (backingBytes === undefined) return 'zero';
  const isLeftBelow = !allocated && at - from < belowBytes;
  // Past the end of the copy's backing disk zeros come by themselves.
  return isLeftBelow || at >= backingBytes ? 'backing' : 'zero';
}
