import type { BlockSource, ByteRange } from '../../io/device.js';
import { stretchesOf } from '../../io/holes.js';
import type { Extent, ExtentOptions } from './disk.js';
import { joinExtents } from './join-extents.js';
import type { Layer } from './layer.js';
import { pieceBatches } from './piece-batches.js';
import { mapPiece, piecesOf, type Piece } from './table-pieces.js';
import { NOWHERE, SegmentList, type Segment } from './segments.js';

/** Extents are handed over when there are so many: what lives short costs the collector little. */
const EXTENTS_MAX = 1024;

/** The extents of ascending ranges, of this layer and of those below it. */
export function extentsOfLayer(
  layer: Layer,
  ranges: readonly ByteRange[],
  depth: number,
  options: ExtentOptions | undefined,
): AsyncIterable<readonly Extent[]> {
  const own = extentsAlone(layer, ranges, depth);
  const { backing } = layer;
  if (backing.kind === 'none' || options?.layers === 'own') return own;
  const all = backing.kind === 'open' ? overlaid(own, backing, depth, options) : leftToBacking(own);
  // What was apart for its place in this layer may be one below.
  return options?.layers === 'apart' ? all : joinExtents(all);
}

async function* extentsAlone(
  layer: Layer,
  ranges: readonly ByteRange[],
  depth: number,
): AsyncGenerator<readonly Extent[]> {
  const hasHoles = await layer.hasHoles();
  for await (const segments of segmentsIn(layer, insideOf(ranges, layer.diskSizeBytes))) {
    if (hasHoles) yield* withHoles(layer, segments, depth);
    else yield segments.map((segment) => extentOf(segment, depth));
  }
}

function insideOf(ranges: readonly ByteRange[], diskSizeBytes: number): ByteRange[] {
  return ranges.flatMap(({ at, length }) => {
    const end = Math.min(at + length, diskSizeBytes);
    return end > at ? [{ at, length: end - at }] : [];
  });
}

function extentOf({ kind, start, length, at, reason }: Segment, depth: number): Extent {
  if (reason !== undefined) return { start, length, kind, depth, reason };
  return at === NOWHERE ? { start, length, kind, depth } : { start, length, kind, depth, at };
}

async function* leftToBacking(
  batches: AsyncIterable<readonly Extent[]>,
): AsyncGenerator<readonly Extent[]> {
  for await (const extents of batches) {
    yield extents.map((extent) => {
      const { start, length, kind, depth } = extent;
      return kind === 'unallocated' ? { start, length, kind: 'backing', depth } : extent;
    });
  }
}

/** What the tables say of the ranges. */
async function* segmentsIn(
  layer: Layer,
  ranges: readonly ByteRange[],
): AsyncGenerator<readonly Segment[]> {
  const { tables, map } = layer;
  const { geometry } = map.format;
  const { clusterBytes } = geometry;
  const { dataEnd, unreadableExtents: goesOn } = layer;
  const pieces = piecesOf(ranges, tables, geometry, goesOn);
  const tablesOf = ({ tableAt }: Piece): readonly number[] => [tableAt];
  const segments = new SegmentList({ joinCompressed: true, dataEnd, goesOn });
  for await (const batch of pieceBatches(pieces, { tables, clusterBytes, tablesOf })) {
    for (const piece of batch.pieces) {
      try {
        mapPiece(piece, batch.loaded, map, segments, goesOn);
      } catch (error) {
        yield segments.take(0);
        throw error;
      }
      if (segments.length > EXTENTS_MAX) yield segments.take(1);
    }
    if (batch.failure !== undefined) {
      yield segments.take(0);
      throw batch.failure;
    }
  }
  if (segments.length > 0) yield segments.take(0);
}

/** Tells data from clusters that the file has holes for. */
async function* withHoles(
  layer: Layer,
  segments: readonly Segment[],
  depth: number,
): AsyncGenerator<readonly Extent[]> {
  for (const segment of segments) {
    if (segment.kind !== 'data' || layer.data === undefined) {
      yield [extentOf(segment, depth)];
      continue;
    }
    yield* joinExtents(stretchesOfSegment(layer.data, segment, depth));
  }
}

async function* stretchesOfSegment(
  data: BlockSource,
  segment: Segment,
  depth: number,
): AsyncGenerator<readonly Extent[]> {
  for await (const stretches of stretchesOf(data, segment.at, segment.length)) {
    yield stretches.map(({ at, length, isHole }) => {
      const start = segment.start + at - segment.at;
      return { start, length, kind: isHole ? 'preallocated' : 'data', depth, at };
    });
  }
}

/** Puts what the disk below says in the place of what this layer says nothing of. */
async function* overlaid(
  batches: AsyncIterable<readonly Extent[]>,
  { disk, sizeBytes }: Extract<Layer['backing'], { kind: 'open' }>,
  depth: number,
  options: ExtentOptions | undefined,
): AsyncGenerator<readonly Extent[]> {
  for await (const extents of batches) {
    const pieces = extents.flatMap((extent) => cutAt(extent, sizeBytes));
    const holes = holesIn(pieces, sizeBytes);
    let i = 0;
    if (holes.length > 0) {
      for await (const below of disk.extentsIn(holes, depth + 1, options)) {
        const out: Extent[] = [];
        for (const extent of below) {
          while (!isBelow(pieces[i]!, sizeBytes)) out.push(pieces[i++]!);
          const first = i;
          while (i < pieces.length && endOf(pieces[i]!) <= endOf(extent)) i += 1;
          if (options?.layers === 'apart') out.push(...cutAsAbove(extent, pieces.slice(first, i)));
          else out.push(extent);
        }
        yield out;
      }
    }
    if (i < pieces.length) yield pieces.slice(i);
  }
}

function endOf({ start, length }: Extent): number {
  return start + length;
}

function isBelow({ kind, start }: Extent, sizeBytes: number): boolean {
  return kind === 'unallocated' && start < sizeBytes;
}

/** What to ask the disk below for: ranges that don't touch. */
function holesIn(pieces: readonly Extent[], sizeBytes: number): readonly ByteRange[] {
  const holes: { at: number; length: number }[] = [];
  for (const piece of pieces) {
    if (!isBelow(piece, sizeBytes)) continue;
    const last = holes.at(-1);
    if (last !== undefined && last.at + last.length === piece.start) last.length += piece.length;
    else holes.push({ at: piece.start, length: piece.length });
  }
  return holes;
}

/** Two extents where the disk below ends inside an unallocated one. */
function cutAt(extent: Extent, end: number): readonly Extent[] {
  return extent.kind === 'unallocated' ? splitAt(extent, end) : [extent];
}

/** An extent in as many parts as the extents have that it shows through. */
function cutAsAbove(extent: Extent, above: readonly Extent[]): Extent[] {
  const parts: Extent[] = [];
  let rest: Extent | undefined = extent;
  for (const { start, length } of above) {
    const [head, tail]: readonly Extent[] = splitAt(rest!, start + length);
    parts.push(head!);
    rest = tail;
  }
  return rest === undefined ? parts : [...parts, rest];
}

/** The parts before and from `offset` on; all of it in one where that lies outside. */
function splitAt(extent: Extent, offset: number): readonly Extent[] {
  const { start, length, at } = extent;
  if (start >= offset || start + length <= offset) return [extent];
  const rest = { ...extent, start: offset, length: start + length - offset };
  return [
    { ...extent, length: offset - start },
    at === undefined ? rest : { ...rest, at: at + offset - start },
  ];
}
