import { MiB } from '../base/units.js';
import type { BlockSource, ByteRange } from '../io/device.js';
import type { Extent } from './disk.js';
import { stretchesByReading } from './holes.js';
import { joinExtents } from './join-extents.js';
import type { Layer } from './layer.js';
import type { L2Tables, LoadedTables } from './l2-tables.js';
import { mapPiece, piecesOf, type Piece } from './pieces.js';
import { NOWHERE, RunList, type Run } from './runs.js';

/** Bytes of L2 tables that are read together. */
const BATCH_BYTES = 4 * MiB;
/** Bounds a batch where many pieces need no table. */
const BATCH_PIECES = 4096;
/** Extents are handed over when there are so many. */
const EXTENTS_MAX = 16_384;

/** The extents of ascending ranges, of this layer and of those below it. */
export async function* extentsOfLayer(
  layer: Layer,
  ranges: readonly ByteRange[],
  depth: number,
): AsyncGenerator<readonly Extent[]> {
  const { backing, diskSizeBytes } = layer;
  const hasHoles = await layer.hasHoles();
  for await (const runs of runsIn(layer, insideOf(ranges, diskSizeBytes))) {
    const all = hasHoles
      ? withHoles(layer, runs, depth)
      : [runs.map((run) => extentOf(run, depth))];
    for await (const extents of all) {
      if (backing.kind === 'open') yield* overlaid(extents, backing, depth);
      else if (backing.kind === 'closed') yield extents.map(leftToBacking);
      else yield extents;
    }
  }
}

function insideOf(ranges: readonly ByteRange[], diskSizeBytes: number): ByteRange[] {
  return ranges.flatMap(({ at, length }) => {
    const end = Math.min(at + length, diskSizeBytes);
    return end > at ? [{ at, length: end - at }] : [];
  });
}

function extentOf({ kind, start, length, at }: Run, depth: number): Extent {
  return at === NOWHERE ? { start, length, kind, depth } : { start, length, kind, depth, at };
}

function leftToBacking(extent: Extent): Extent {
  return extent.kind === 'unallocated' ? { ...extent, kind: 'backing' } : extent;
}

interface Batch {
  readonly pieces: readonly Piece[];
  readonly loaded: LoadedTables;
  /** What is wrong with the entry after the last piece. */
  readonly failure: unknown;
}

/** What the tables say of the ranges; the next tables are on their way while some are looked at. */
async function* runsIn(layer: Layer, ranges: readonly ByteRange[]): AsyncGenerator<readonly Run[]> {
  const { tables, map } = layer;
  const { geometry } = map.format;
  const { clusterBytes } = geometry;
  const pieces = piecesOf(ranges, tables, geometry);
  const runs = new RunList(true);
  let next = loadNext(pieces, tables, clusterBytes);
  for (;;) {
    const batch = await next;
    if (batch === undefined) break;
    next = loadNext(pieces, tables, clusterBytes);
    // Where nobody comes back for it, its failure is nobody's.
    next.catch(() => undefined);
    for (const piece of batch.pieces) {
      try {
        mapPiece(piece, batch.loaded, map, runs);
      } catch (error) {
        yield runs.take(1);
        throw error;
      }
      if (runs.length > EXTENTS_MAX) yield runs.take(1);
    }
    if (batch.failure !== undefined) {
      yield runs.take(1);
      throw batch.failure;
    }
  }
  if (runs.length > 0) yield runs.take(0);
}

/** Takes pieces until their tables fill a batch, and reads the tables. */
async function loadNext(
  pieces: Generator<Piece, void>,
  tables: L2Tables,
  clusterBytes: number,
): Promise<Batch | undefined> {
  const taken: Piece[] = [];
  const offsets = new Set<number>();
  const tablesMax = Math.max(1, BATCH_BYTES / clusterBytes);
  let failure: unknown;
  try {
    while (taken.length < BATCH_PIECES && offsets.size < tablesMax) {
      const next = pieces.next();
      if (next.done === true) break;
      taken.push(next.value);
      if (next.value.tableAt !== 0) offsets.add(next.value.tableAt);
    }
  } catch (error) {
    failure = error;
  }
  if (taken.length === 0 && failure === undefined) return undefined;
  return { pieces: taken, loaded: await tables.read([...offsets]), failure };
}

/** Tells data from clusters that the file has holes for. */
async function* withHoles(
  layer: Layer,
  runs: readonly Run[],
  depth: number,
): AsyncGenerator<readonly Extent[]> {
  for (const run of runs) {
    if (run.kind !== 'data' || layer.data === undefined) {
      yield [extentOf(run, depth)];
      continue;
    }
    yield* joinExtents(stretchesOfRun(layer.data, run, depth));
  }
}

async function* stretchesOfRun(
  data: BlockSource,
  run: Run,
  depth: number,
): AsyncGenerator<readonly Extent[]> {
  for await (const stretches of stretchesByReading(data, run.at, run.length)) {
    yield stretches.map(({ at, length, isHole }) => {
      const start = run.start + at - run.at;
      return { start, length, kind: isHole ? 'preallocated' : 'data', depth, at };
    });
  }
}

/** Puts what the disk below says in the place of what this layer says nothing of. */
async function* overlaid(
  extents: readonly Extent[],
  backing: Extract<Layer['backing'], { kind: 'open' }>,
  depth: number,
): AsyncGenerator<readonly Extent[]> {
  const { disk, sizeBytes } = backing;
  const pieces = extents.flatMap((extent) => cutAt(extent, sizeBytes));
  const isBelow = ({ kind, start }: Extent): boolean => kind === 'unallocated' && start < sizeBytes;
  const holes = pieces.filter(isBelow).map(({ start, length }) => ({ at: start, length }));
  let i = 0;
  if (holes.length > 0) {
    for await (const below of disk.extentsIn(holes, depth + 1)) {
      const out: Extent[] = [];
      for (const extent of below) {
        while (!isBelow(pieces[i]!)) out.push(pieces[i++]!);
        out.push(extent);
        const hole = pieces[i]!;
        if (extent.start + extent.length === hole.start + hole.length) i += 1;
      }
      if (out.length > 0) yield out;
    }
  }
  if (i < pieces.length) yield pieces.slice(i);
}

/** Two extents where the disk below ends inside an unallocated one. */
function cutAt(extent: Extent, at: number): readonly Extent[] {
  const { start, length, kind } = extent;
  if (kind !== 'unallocated' || start >= at || start + length <= at) return [extent];
  return [
    { ...extent, length: at - start },
    { ...extent, start: at, length: start + length - at },
  ];
}
