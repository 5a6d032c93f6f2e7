import type { OpenImage } from '../../image/image.js';
import { refuseUnread } from '../../image/image.js';
import { ownSnapshot } from '../../image/own-snapshot.js';
import { refuseEdited } from '../../image/refuse-edited.js';
import { tableFormat } from '../../image/table-format.js';
import { stoppableImage, type Stoppable } from '../../io/stoppable.js';
import type { Geometry } from '../../qcow2/geometry.js';
import type { Snapshot } from '../../qcow2/snapshot-table.js';
import { joinNeighbours } from '../guest/join-extents.js';
import { L2Tables } from '../guest/l2-tables.js';
import { pieceBatches } from '../guest/piece-batches.js';
import { ENTRIES_MAX, piecesOf } from '../guest/table-pieces.js';
import { tableMapOf } from '../guest/table-map.js';
import { compareContent, type DiffContent } from './compare-content.js';
import { pieceDifferences, type PiecePair } from './compare-tables.js';
import type { DiffRange } from './diff-range.js';

/** What finding differences takes. */
export interface DiffOptions extends Stoppable {
  /** Guest bytes that are done, and of the longer disk. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Compare bytes where clusters differ: both disks, as they are open. Ranges that are equal are `same-content`. */
  readonly content?: DiffContent | undefined;
}

/** One of the two disks. */
interface Side {
  readonly tables: L2Tables;
  readonly sizeBytes: number;
}

/**
 * Where two disks of one image differ, by their tables alone: no guest data is read, and no table that both have. So two
 * clusters with the same bytes differ as long as they lie in two places.
 *
 * The ranges ascend, in batches of what was read together. Neighbours of one kind are one range, also across batches. A
 * range is what tables tell apart: whole clusters, or subclusters, cut at the end of the disk. Clusters that read as
 * zeros are the same, whether they are zero clusters, with room reserved or without, or nothing in an image that has no
 * backing file. VM state is no part of a disk.
 *
 * Where the disks are of different sizes, the shorter one counts as zeros behind its end.
 *
 * ```ts
 * const image = await openImage(device);
 * const [before] = image.snapshots;
 * for await (const ranges of diffDisks(image, before, undefined)) {
 *   for (const { start, length, kind } of ranges) console.log(start, length, kind);
 * }
 * ```
 *
 * @param a the disk before: of a snapshot; undefined: the active disk.
 * @param b the disk after: it is the one that kinds are of.
 * @throws QsnapError IMAGE_CHANGED, SNAPSHOT_STALE, TABLE_INVALID, READ_FAILED, ABORTED; IMAGE_DAMAGED and
 *   IMAGE_TRUNCATED for entries that differ and can't be right, after all ranges before them; with `content` what the
 *   disks throw.
 */
export async function* diffDisks(
  opened: OpenImage,
  a: Snapshot | undefined,
  b: Snapshot | undefined,
  { signal, onProgress, content }: DiffOptions = {},
): AsyncGenerator<readonly DiffRange[], void, undefined> {
  const image = stoppableImage(opened, signal, 'the diff');
  refuseEdited(image);
  const sides = [await sideOf(image, a), await sideOf(image, b)] as const;
  const totalBytes = Math.max(sides[0].sizeBytes, sides[1].sizeBytes);
  const found = joined(
    differences(image, sides, (doneBytes) => onProgress?.(doneBytes, totalBytes)),
  );
  yield* content === undefined ? found : joined(compareContent(found, content));
  onProgress?.(totalBytes, totalBytes);
}

function joined(
  batches: AsyncIterable<readonly DiffRange[]>,
): AsyncGenerator<readonly DiffRange[], void, undefined> {
  return joinNeighbours(batches, (before, after) => before.kind === after.kind);
}

async function sideOf(image: OpenImage, wanted: Snapshot | undefined): Promise<Side> {
  const snapshot = wanted && ownSnapshot(image, wanted);
  refuseUnread(image, snapshot);
  const { l1, sizeBytes } =
    snapshot === undefined
      ? { l1: image.header.activeL1, sizeBytes: image.header.diskSizeBytes }
      : { l1: snapshot.l1, sizeBytes: snapshot.diskSizeBytes };
  const tables = await L2Tables.open(image, l1, {
    structure: snapshot === undefined ? 'active L1' : 'snapshot L1',
    diskSizeBytes: sizeBytes,
    format: tableFormat(image),
    tolerant: false,
    goesOn: false,
  });
  return { tables, sizeBytes };
}

async function* differences(
  image: OpenImage,
  [a, b]: readonly [Side, Side],
  onDone: (doneBytes: number) => void,
): AsyncGenerator<readonly DiffRange[]> {
  const { header, geometry, fileSizeBytes } = image;
  const hasBacking = image.backingNameBytes !== undefined;
  const map = tableMapOf(tableFormat(image), fileSizeBytes, header.externalDataFile, false);
  const noTable = new Uint32Array(geometry.clusterBytes / 4);
  const rules = { map, hasBacking, noTable };
  const pieces = piecePairs(a, b, geometry, hasBacking);
  const tablesOf = ({ aTableAt, bTableAt }: PiecePair): readonly number[] => [aTableAt, bTableAt];
  const reading = { tables: a.tables, clusterBytes: geometry.clusterBytes, tablesOf };
  for await (const batch of pieceBatches(pieces, reading)) {
    refuseEdited(image);
    for (const piece of batch.pieces) {
      const found = pieceDifferences(piece, batch.loaded, rules);
      if (found.length > 0) yield found;
    }
    if (batch.failure !== undefined) throw batch.failure;
    onDone(batch.pieces.at(-1)!.to);
  }
}

/** The guest ranges that may differ: those of different L2 tables, and what lies behind the end of one disk. */
function* piecePairs(
  a: Side,
  b: Side,
  geometry: Geometry,
  hasBacking: boolean,
): Generator<PiecePair, void> {
  const { l2CoverageBytes, clusterBytes } = geometry;
  const pieceBytes = Math.min(l2CoverageBytes, ENTRIES_MAX * clusterBytes);
  const bothEnd = Math.min(a.sizeBytes, b.sizeBytes);
  const end = Math.ceil(bothEnd / l2CoverageBytes);
  const next = (index: number): number => a.tables.nextDifferent(b.tables, index, end);
  for (let index = next(0); index < end; index = next(index + 1)) {
    const [aTableAt, bTableAt] = [a.tables.offsetAt(index), b.tables.offsetAt(index)];
    const to = Math.min(bothEnd, (index + 1) * l2CoverageBytes);
    for (let from = index * l2CoverageBytes; from < to; from += pieceBytes) {
      yield { from, to: Math.min(to, from + pieceBytes), aTableAt, bTableAt };
    }
  }
  const [longer, ended] = a.sizeBytes > b.sizeBytes ? [a, 'b' as const] : [b, 'a' as const];
  const rest = [{ at: bothEnd, length: longer.sizeBytes - bothEnd }];
  for (const { from, to, tableAt } of piecesOf(rest, longer.tables, geometry, false)) {
    if (tableAt === 0 && !hasBacking) continue;
    const [aTableAt, bTableAt] = ended === 'a' ? [0, tableAt] : [tableAt, 0];
    yield { from, to, aTableAt, bTableAt, ended };
  }
}
