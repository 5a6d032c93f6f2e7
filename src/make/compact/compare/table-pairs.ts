import type { Geometry } from '../../../qcow2/geometry.js';
import type { L2Tables } from '../../../read/guest/l2-tables.js';
import type { Span } from './spans.js';

/** A disk of both images. */
export interface DiskPair {
  /** For messages: "the active disk". */
  readonly name: string;
  /** Undefined: the active disk. */
  readonly snapshotId: string | undefined;
  readonly old: L2Tables;
  readonly made: L2Tables;
  readonly spans: readonly Span[];
}

/** Bytes that one L2 table of each image maps. */
export interface TablePair extends Span {
  readonly disk: DiskPair;
  /** Host offset of the table in either file; 0: there is none. */
  readonly oldTableAt: number;
  readonly newTableAt: number;
}

/** Where an L2 table was met before, and how much of it. */
interface Met {
  readonly tableAt: number;
  readonly from: number;
  readonly length: number;
}

/**
 * All pairs of tables that the disks lead to. Disks share tables: a pair that was there before is left out. It is known
 * by the table that maps less, of which each pair has the beginning.
 */
export function* tablePairs(
  disks: readonly DiskPair[],
  old: Geometry,
  made: Geometry,
): Generator<TablePair, void> {
  const isOldFine = old.l2CoverageBytes <= made.l2CoverageBytes;
  const met = new Map<number, Met>();
  for (const disk of disks) {
    for (const span of disk.spans) {
      for (const pair of pairsIn(disk, span, old, made)) {
        const { oldTableAt, newTableAt, oldFrom, newFrom, length } = pair;
        const [fine, tableAt] = isOldFine ? [oldTableAt, newTableAt] : [newTableAt, oldTableAt];
        const from = isOldFine ? newFrom % made.l2CoverageBytes : oldFrom % old.l2CoverageBytes;
        const before = met.get(fine);
        const isKnown =
          before?.tableAt === tableAt && before.from === from && before.length >= length;
        if (isKnown) continue;
        met.set(fine, { tableAt, from, length });
        yield pair;
      }
    }
  }
}

function* pairsIn(
  disk: DiskPair,
  span: Span,
  old: Geometry,
  made: Geometry,
): Generator<TablePair, void> {
  for (let done = 0; done < span.length;) {
    const [oldFrom, newFrom] = [span.oldFrom + done, span.newFrom + done];
    const length = Math.min(
      span.length - done,
      old.l2CoverageBytes - (oldFrom % old.l2CoverageBytes),
      made.l2CoverageBytes - (newFrom % made.l2CoverageBytes),
    );
    const oldTableAt = disk.old.offsetAt(Math.floor(oldFrom / old.l2CoverageBytes));
    const newTableAt = disk.made.offsetAt(Math.floor(newFrom / made.l2CoverageBytes));
    // Where neither has a table, both leave everything to what is below.
    if (oldTableAt !== 0 || newTableAt !== 0) {
      yield { disk, oldFrom, newFrom, length, oldTableAt, newTableAt };
    }
    done += length;
  }
}
