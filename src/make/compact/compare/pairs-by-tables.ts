import { newIoBytes } from '../../../base/io-bytes.js';
import { MiB } from '../../../base/units.js';
import type { OpenImage } from '../../../image/image.js';
import { tableFormat } from '../../../image/table-format.js';
import { settled } from '../../../io/settled.js';
import type { L2Tables, LoadedTables } from '../../../read/guest/l2-tables.js';
import { SegmentList, type Segment } from '../../../read/guest/segments.js';
import { tableMapOf } from '../../../read/guest/table-map.js';
import { ENTRIES_MAX, mapPiece } from '../../../read/guest/table-pieces.js';
import type { TableMap } from '../../../read/guest/table-rules.js';
import type { Side } from './pair-steps.js';
import type { Pair, PairFinder } from './pairs.js';
import type { TablePair } from './table-pairs.js';

/** Bytes of L2 tables of either image that are read together. */
const BATCH_BYTES = 2 * MiB;
/** Bounds a batch where one table is paired with many. */
const BATCH_PAIRS = 4096;

/** The tables of one image that a batch needs, and how they are read. */
interface LoadedSide {
  readonly loaded: LoadedTables;
  readonly map: TableMap;
}

/** Reads tables, and finds the pairs in them: the rules are those of a disk that is read. */
export async function* pairsByTables(
  tables: Iterable<TablePair>,
  images: Readonly<Record<Side, OpenImage>>,
  finder: PairFinder,
): AsyncGenerator<Iterable<Pair>> {
  const maps = { old: mapOf(images.old), made: mapOf(images.made) };
  for (const batch of batchesOf(tables, images)) {
    const [old, made] = await settled([
      readTables(
        batch[0]!.disk.old,
        images.old,
        batch.map(({ oldTableAt }) => oldTableAt),
      ),
      readTables(
        batch[0]!.disk.made,
        images.made,
        batch.map(({ newTableAt }) => newTableAt),
      ),
    ]);
    yield pairsIn(batch, { loaded: old, map: maps.old }, { loaded: made, map: maps.made }, finder);
  }
}

function mapOf(image: OpenImage): TableMap {
  return tableMapOf(tableFormat(image), image.fileSizeBytes, false, false);
}

function* batchesOf(
  tables: Iterable<TablePair>,
  { old, made }: Readonly<Record<Side, OpenImage>>,
): Generator<readonly TablePair[]> {
  const largest = Math.max(old.geometry.clusterBytes, made.geometry.clusterBytes);
  const most = Math.max(1, BATCH_BYTES / largest);
  let batch: TablePair[] = [];
  let [oldTables, newTables] = [new Set<number>(), new Set<number>()];
  for (const pair of tables) {
    batch.push(pair);
    oldTables.add(pair.oldTableAt);
    newTables.add(pair.newTableAt);
    const isFull = Math.max(oldTables.size, newTables.size) >= most;
    if (!isFull && batch.length < BATCH_PAIRS) continue;
    yield batch;
    batch = [];
    [oldTables, newTables] = [new Set(), new Set()];
  }
  if (batch.length > 0) yield batch;
}

/** @param offsets of tables, 0 for none. */
function readTables(
  tables: L2Tables,
  { geometry }: OpenImage,
  offsets: readonly number[],
): Promise<LoadedTables> {
  const wanted = [...new Set(offsets)].filter((at) => at !== 0);
  return tables.read(wanted, newIoBytes(wanted.length * geometry.clusterBytes));
}

function* pairsIn(
  batch: readonly TablePair[],
  old: LoadedSide,
  made: LoadedSide,
  finder: PairFinder,
): Generator<Pair, void> {
  const stepBytes = ENTRIES_MAX * Math.min(clusterBytesOf(old), clusterBytesOf(made));
  for (const { disk, oldFrom, newFrom, length, oldTableAt, newTableAt } of batch) {
    for (let done = 0; done < length; done += stepBytes) {
      const bytes = Math.min(stepBytes, length - done);
      const before = segmentsOf(oldTableAt, oldFrom + done, bytes, old);
      const now = segmentsOf(newTableAt, newFrom + done, bytes, made);
      yield* finder.pairs(disk, before, now, newFrom - oldFrom);
    }
  }
}

function clusterBytesOf({ map }: LoadedSide): number {
  return map.format.geometry.clusterBytes;
}

function segmentsOf(
  tableAt: number,
  from: number,
  length: number,
  { loaded, map }: LoadedSide,
): readonly Segment[] {
  // What the file ends before reads as zeros, as it did when it was copied.
  const list = new SegmentList({ joinCompressed: false, dataEnd: Infinity, goesOn: false });
  mapPiece({ from, to: from + length, tableAt }, loaded, map, list, false);
  return list.take(0);
}
